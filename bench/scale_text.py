"""The words of docs/scale.md; its numbers are in :mod:`scale_report`."""

from __future__ import annotations

__all__ = [
    "ASSUMPTIONS",
    "AZURE",
    "CHECK",
    "HEAD",
    "HELP",
    "HOURS",
    "LIMITS",
    "LOSSES",
    "MEASURED",
    "NAMES",
    "PACEMAKER",
]

HEAD = """# At scale

Written by `make scale` (as root, three quarters of an hour; raw numbers in
`results/scale.json`). N clusters of two nodes share one AWS account in one region, and so its API budget. From how
many on do they suffer?
"""

NAMES = """*Strict* and *lenient* are two readings of AWS's page, see below. *Level 10* is our monitor that always asks
the API (`OCF_CHECK_LEVEL=10`). *Three tries* is what newer SDKs do; Debian's makes five. *No dry run* is ours with a
change that it does not have; see [What limits ours](#what-limits-ours).
"""

LIMITS = """## What AWS publishes

[Request throttling for the Amazon EC2 API](https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html):
for each account and region, every operation has a token bucket of its own. AWS raises them on request.

| operation | at once | a second | who sends it here |
|---|---|---|---|
| DescribeInstances, with a filter or a page size | 100 | 20 | `fence_aws` (state), `fence_cloud` (listing) |
| DescribeInstances, unfiltered and unpaginated | 50 | 10 | `fence_aws` (monitor) |
| DescribeNetworkInterfaces, with a filter | 100 | 20 | `floating-ip` |
| StopInstances | 50 | 5 | both; `fence_cloud`'s monitor as a dry run |
| StartInstances | 5 | 2 | both |
| AssignPrivateIpAddresses, UnassignPrivateIpAddresses | 100 | 5 | both |

Three things are not published. Whether a request that names a machine by its id, with no filter (awsvip's monitor;
`fence_cloud`'s polls), is an unfiltered one: *strict* says yes, as the page's link to filters suggests, *lenient* says
no. Whether a dry run takes a token: assumed. Whether a refused request takes one: assumed not.
"""

MEASURED = """## What the agents send (measured)

Each agent was run once for each line, on the emulated AWS of this tree; *refused* are the operations that it throttles.
Pacemaker would kill at 60 s, and so did we. `fence_aws` and `awsvip` are Debian 12's (4.12); their SDK tries as
Debian's own does, five times, waiting up to 1, 2, 4 and 8 s (newer SDKs try three times). "By id" and "unfiltered" say
how the request was sent. The simulated agents are compared with these runs, and the program stops when one differs.
"""

PACEMAKER = """A throttled `awsvip monitor` says *not running* (7), a throttled `stop` says *stopped* (0) while the
address is bound, a `stop` or `start` whose change alone is refused says 7. `fence_aws`, once its stop or start was
refused, waits for an effect that cannot come, until it is killed. Ours says 0 (or 190 at level 10) for the address,
and 1, *unknown*, for the rest once its time is up; a reboot whose start alone is refused is a good fencing (0), late.
What Pacemaker makes of it, asked of `crm_simulate` with a service on n2 and a fence device on n1:
"""

ASSUMPTIONS = """A failed start bans the service from that node (`start-failure-is-fatal`); after one on each node it
stays down until somebody cleans up.

## What is simulated, and what is assumed

A discrete simulation with the buckets above; three seeds (one from 2,000 clusters on); each cluster begins its
monitors at a random moment.

- One service and one fence device for each cluster; the address's monitor every 20 s (awsvip's own advice; ours advises
  10 s, and asks no API), the fence device's every 60 s (what pcs gives it); timeouts as the agents advise and pcs takes
  over: 30 s for awsvip, 180 s for a start of ours, 20 s for a fence device, `stonith-timeout` 60 s.
- Nobody else uses the account. In reality somebody does, so every N on this page is an upper bound.
- A request takes 50 ms, an SDK's start 0.5 s. A machine takes 20 s to stop and 15 s to start: AWS publishes no numbers.
- Pacemaker tries a fencing twice within its timeout, ten times in a row, and again after 15 minutes.
"""

HOURS = """## An ordinary hour (simulated)

Nothing is wrong with any cluster. Every number is the API's refusals and what the agents and Pacemaker make of them;
counts are of all clusters together. No node was fenced wrongly in any of these runs, since EC2 gives address changes
buckets that monitors do not empty.
"""

LOSSES = """## All clusters lose a node in one moment (simulated)

As after a power failure or a bad update. (Not quite "a zone is lost": a private address cannot leave its subnet, and so
its zone.) Each cluster fences (reboot), then starts the address on the other node; an hour is watched. *Failed* is a
fencing that failed or was killed at 60 s; Pacemaker tries again, and the service waits. 5 stops a second are all that
AWS accepts, so for more than about 300 clusters no agent can be done within 60 s. *600 s* is the same with
`stonith-timeout=600s` and power timeouts to match. With the default ours stalls as well when there are very many: a
fencing that runs out of time begins anew, and asks for its stop again.
"""

HELP = """## What limits ours

The address needs no API to be monitored, so no number of clusters makes it fail over. The rest has limits.

- **The fence device's monitor** lists machines, and tries its permission with a dry run of StopInstances. A refused
  listing is asked for again until the action's time is up; a refused dry run tells nothing, and is no failure. (An
  earlier version tried StartInstances as well, of which AWS gives 2 a second to the whole account: it failed from
  N = 100 on, and was changed for the sake of this page.) *No dry run* in the table is the same agent with the listing
  alone. A failed monitor restarts the fence device, and in the end leaves it stopped: no service moves, and a stopped
  device still fences ("General Properties of Fencing Devices" in Red Hat's manual), but nobody watches it any more. A
  longer interval helps (`op monitor interval=600s` sends a tenth of the requests).
- **A stop that runs out of time begins anew**, and asks for its stop again: with very many fencings at once the default
  `stonith-timeout` of 60 s is too short for 5 stops a second. *600 s* shows what a longer one does.
- **Each fencing looks once a second, by id**: many at once empty the bucket of DescribeInstances, in the strict
  reading the smaller one. A look that is refused is repeated with longer waits, up to 5 s.
"""

CHECK = """## The simulation against a real run

Real agents, the real clock, and the emulated AWS with a fiftieth of the published buckets (strict) in front; only
monitors, for three minutes each, at most three agents alive at once on two cores that others used as well. A bucket of
one token has no cushion, so refusals begin sooner than at full size; what counts is that both columns had the same
bucket; the busier the machine, the fewer requests the real agents come to send. Simulated: the mean of 200 seeds, and
the range of nine tenths of them. Nothing was fitted.
"""

AZURE = """## Azure

Computed, not simulated, and for ours alone (`fence_azure_arm` does not work with today's SDK): Azure's limits are
mostly those of one machine
([Compute](https://learn.microsoft.com/azure/virtual-machines/compute-throttling-limits),
[Resource Manager and Network](https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling)),
and what one cluster sends to its own machine does not depend on the others. Measured on the emulated Azure, which keeps
the limits of one machine; the machine took 45 s to stop. Monitors as in [azure.md](azure.md): the fence device's every
hour, the address's every minute. *Failovers at once* are as if all their requests came in one instant. *One identity*
matters where clusters share a service principal; managed identities of machines are not shared.
"""
