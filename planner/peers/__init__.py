"""Other autoscalers' rules, from their documented formulas: what ours is compared with.

A rule is a pure function of settings, state and inputs; its policy turns observations into inputs.
None of them sees more than an observation and a profile.
"""

from collections.abc import Mapping

from planner.peers.dynamo_loops import DYNAMO_LOOPS
from planner.peers.dynamo_throughput import DYNAMO_THROUGHPUT
from planner.peers.hpa import HPA
from planner.peers.kpa import KPA
from planner.peers.peer import Peer, PeerPolicy
from planner.peers.wva import WVA

__all__ = ["PEERS", "Peer", "PeerPolicy"]

PEERS: Mapping[str, Peer] = {
    peer.name: peer for peer in (DYNAMO_LOOPS, DYNAMO_THROUGHPUT, HPA, KPA, WVA)
}
"""By name, sorted."""
