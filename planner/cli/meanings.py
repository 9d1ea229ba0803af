"""What each reason of a decision means to an operator: for `explain` and the guide."""

from collections.abc import Mapping
from dataclasses import dataclass

from planner.core.plan import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A reason in words: what it *means*, what to *look* at, and what to *do*."""

    means: str
    look: str
    do: str


MEANINGS: Mapping[Reason, Meaning] = {
    Reason.DEMAND_FORECAST: Meaning(
        means="The load expected one cold start and one interval from now asks for this number."
        " It is the ordinary reason, in both directions.",
        look="`planner explain`: the replicas of work expected, and the factor for past errors. A"
        " factor far above 1.5 says that forecasts were off lately.",
        do="Nothing. If the number seems too high, compare it with `planner size --profile P --sla"
        " ttft=1s,itl=40ms --rate 20/s --isl 3000 --osl 300`, for the rate and lengths that were"
        " seen; if it comes too late, set `cold_start` to what a replica really takes.",
    ),
    Reason.BURSTS: Meaning(
        means="Demand rose to more than twice its forecast before, faster than a replica starts,"
        " so what the last bursts needed is held.",
        look="`planner history --reason Bursts`: how often, and at which hours. `planner plan`"
        " tells how many replicas are warm spares.",
        do="Hold the number from the start (`min`), or make replicas start faster: a shorter cold"
        " start needs fewer spares.",
    ),
    Reason.LOAD_THRESHOLD: Meaning(
        means='With `mode = "load"`, queues and KV usage against their thresholds ask for this'
        " number.",
        look="`planner status`: waiting requests and KV usage beside `waiting` and `kv_usage` of"
        " `planner config show`.",
        do='Raise or lower the thresholds; with a profile, `mode = "sla"` sees a load coming.',
    ),
    Reason.BACKLOG: Meaning(
        means="Prompts already wait longer than the TTFT target allows, so the forecast was too"
        " low or capacity came too late.",
        look="`planner status`: waiting and starting replicas. Replicas that stay in starting are"
        " a problem of their own: their log is `logs/NAME.log` in the state folder.",
        do="Once is nothing. If often: a higher `min` for prefill, a shorter cold start, or a"
        " `cold_start` that is nearer to the truth.",
    ),
    Reason.KV_PRESSURE: Meaning(
        means="The decode batches are past what the ITL target allows, or the KV caches nearly"
        " full.",
        look="`planner status`: running requests and KV usage. Contexts much longer than before"
        " show in `planner explain` as tokens in.",
        do="If often: a higher `min` for decode, or a larger parallelism, which leaves more memory"
        " for the KV cache.",
    ),
    Reason.ATTAINMENT_BELOW_TARGET: Meaning(
        means="More requests are late than the SLA allows although the numbers should suffice, so"
        " the headroom is raised until they are not.",
        look="`planner status`: the attainment, and which replicas are not ready. Compare the TTFT"
        " and ITL that users see with those of the profile.",
        do="If it stays for more than some minutes, the engines are slower than the profile says:"
        " measure them again.",
    ),
    Reason.CONSOLIDATION_REFUSED: Meaning(
        means="The forecast would do with fewer, but by so little that one more request could ask"
        " for the replica again.",
        look="`planner explain`: the need and what lasted lately; what one replica fewer would"
        " attain stands in its line `attains`.",
        do="Nothing. Fewer follow when the need has clearly fallen.",
    ),
    Reason.WITHIN_TOLERANCE: Meaning(
        means="The need is above a whole number of replicas by less than `tolerance`; one more"
        " would hardly be used.",
        look="`planner explain`: how many would only just be needed.",
        do="Nothing; a smaller `tolerance` adds replicas earlier, a larger one later.",
    ),
    Reason.SCALE_DOWN_STABILIZED: Meaning(
        means="Fewer would do, but not yet for a whole stabilization window: draining them for a"
        " lull would cost a cold start right after.",
        look="`planner explain`: how long the window still lasts.",
        do="Wait. `stabilization` sets the window; a third of a cold start when left out.",
    ),
    Reason.METRICS_UNAVAILABLE: Meaning(
        means="Nothing current is known about the deployment, so the fleet is held as it is. A"
        " lost metric is not an idle fleet.",
        look="`planner history --reason MetricsUnavailable`: the note names what does not answer."
        " `planner status` asks the same things again; then the logs of the state folder.",
        do="Mend what does not answer; the planner goes on by itself. If figures are merely late,"
        " raise `max_age` or `metrics_timeout`.",
    ),
    Reason.WARMING_UP: Meaning(
        means="Too little has been seen to size by or to shrink on: no request has ended yet, or"
        " the history is shorter than the window.",
        look="`planner history`: when the planner began. A restart goes on from the journal, so"
        " this should not come back with every start; if it does, see whether `journal` is kept.",
        do="Wait one cold start, or until a request has ended.",
    ),
    Reason.SLA_INFEASIBLE: Meaning(
        means="For prompts as long as these the engine alone is slower than the target. No number"
        " of replicas changes that, so none are added for it.",
        look="`planner plan`: it names the nearest target that can be met, and ends with 4.",
        do="Take that target, a larger parallelism, shorter prompts, or faster GPUs.",
    ),
    Reason.GPU_BUDGET: Meaning(
        means="The roles together ask for more GPUs than `max_gpus`, which is shared out where it"
        " helps most.",
        look="`planner plan`: the attainment that the budget still gives.",
        do="Raise `max_gpus`, or accept a lower attainment.",
    ),
    Reason.SHRINK_BEFORE_GROW: Meaning(
        means="The GPUs for more replicas are still held by replicas that drain.",
        look="`planner status`: draining. One that never ends serves a request that does not end.",
        do="Nothing; a shorter drain timeout (`--drain` of `planner serve`, `drain` of a fleet)"
        " frees the GPUs sooner.",
    ),
    Reason.TOO_FEW_REPLICAS: Meaning(
        means="The load asks for fewer than the minimum of the role.",
        look="`planner config show`: `min`, and where it was set.",
        do="Nothing, or lower `min`.",
    ),
    Reason.TOO_MANY_REPLICAS: Meaning(
        means="The load asks for more than the maximum of the role.",
        look="`planner config show`: `max`, and where it was set. `planner plan` predicts what"
        " the maximum still attains.",
        do="Raise `max`, if there are GPUs.",
    ),
}
