/**
 * Leaving the page: asks before something is lost, unless by the quick exit, and forgets all then.
 *
 * @module
 */

/** Time after a tap on a telephone number in which a browser may ask, though it leaves nothing. */
const DIALLED_WITHIN_MS = 1000;

/**
 * Ask before the page is left, but not by the quick exit, and forget all when it is.
 * @param {{session: import('./session.js').Session, isUnderway: boolean}} page
 */
export function watchLeaving(page) {
  let isLeaving = false;
  // By `exit.js`.
  addEventListener('leaving', () => {
    isLeaving = true;
    page.session.close();
  });
  let dialledAtMs = -Infinity;
  addEventListener('click', ({ target, timeStamp }) => {
    if (target instanceof Element && target.closest('a[href^="tel:"]')) dialledAtMs = timeStamp;
  });
  addEventListener('beforeunload', (event) => {
    const isDialling = event.timeStamp - dialledAtMs < DIALLED_WITHIN_MS;
    if (isLeaving || isDialling || !page.isUnderway) return;
    event.preventDefault();
    // Older browsers ask only for this.
    event.returnValue = true;
  });
  addEventListener('pagehide', () => page.session.close());
  // A page that the browser kept aside would come back without what it knew.
  addEventListener('pageshow', (event) => event.persisted && location.reload());
}
