"""Extension of python-threatexchange: ``tx config extensions add disrupt.threatexchange``."""

from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest

from disrupt.threatexchange.exchange import DisruptExchangeAPI
from disrupt.threatexchange.signal_type import DisruptPdqSignal

TX_MANIFEST = ThreatExchangeExtensionManifest(
    signal_types=(DisruptPdqSignal,), apis=(DisruptExchangeAPI,)
)

__all__ = ["TX_MANIFEST", "DisruptExchangeAPI", "DisruptPdqSignal"]
