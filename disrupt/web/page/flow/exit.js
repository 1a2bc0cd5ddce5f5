/**
 * The quick exit: leaves at once, without a question and without a way back in the history.
 *
 * A classic script that imports nothing and runs first, so that a person can leave also while the
 * page has not started, or cannot. The modules hear of the exit by `leaving`. May run twice.
 */

(() => {
  /** Where the exit leads: a site that everybody visits. */
  const ELSEWHERE = 'https://fr.wikipedia.org/';
  const ESCAPES = 3;
  const ESCAPES_WITHIN_MS = 2000;

  /** Leave at once. The page is blank before the other site has answered. */
  const leave = () => {
    dispatchEvent(new Event('leaving'));
    document.title = '';
    if (document.body) document.body.textContent = '';
    location.replace(ELSEWHERE);
  };

  /** @type {number[]} */
  let escapes = [];
  const countEscapes = (/** @type {KeyboardEvent} */ { key, repeat, timeStamp }) => {
    if (key !== 'Escape' || repeat) return;
    escapes = escapes.filter((at) => timeStamp - at < ESCAPES_WITHIN_MS).concat(timeStamp);
    if (escapes.length >= ESCAPES) leave();
  };

  addEventListener('keydown', countEscapes, { capture: true });
  document.addEventListener(
    'click',
    (event) => {
      if (!(event.target instanceof Element && event.target.closest('#exit'))) return;
      event.preventDefault();
      leave();
    },
    { capture: true },
  );
})();
