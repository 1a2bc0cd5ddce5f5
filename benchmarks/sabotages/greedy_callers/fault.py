"""Let every caller hold as much as it asks for, for as long as it likes.

Calls that ended after their time would not fill all places, where the attacker's machine is slow.
"""

from __future__ import annotations

from disrupt.server.admission import limits
from disrupt.server.admission.shares import Holder, Resource


def _may_take(_holder: Holder, _resource: Resource, _amount: int) -> bool:
    return True


limits._RECEIPT_S = 3600.0
Holder.may_take = _may_take  # type: ignore[assignment,method-assign]
