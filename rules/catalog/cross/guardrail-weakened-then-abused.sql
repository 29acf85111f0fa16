/*---
id: guardrail-weakened-then-abused
title: A guardrail's policy was changed, and what it objects to is no longer stopped
plane: both
severity: high
key: [verdict_event_id]
frameworks: [ASI03:2026, ASI02:2026, LLM06:2025, AML.T0054, T1562.001]
weights: {model: 1.0, access: 1.0}
description: >-
  Somebody changes the policy of a guardrail. Within a day that policy still objects to what an agent does, but its verdict is
  only reported and no longer enforced. The control was taken down before it was needed: changing it is an act on the access
  side, and what passes since is one on the model side.
runbook: >-
  Ask who wanted the change and whether it was approved. Until that is known, take every objection since for a call that should
  not have been made; whoever made the change may be another than whoever uses it.
first_move:
  model: Have the policy enforce again, and hold the agent's session until it does.
  access: Take the right to change guardrails away from the account that made the change, and end its sessions.
tags: [bypass, policy]
---*/
SELECT g.event_time, g.tenant, g.principal, g.session_id, g.agent_id,
       g.event_id AS verdict_event_id, p.event_id AS change_event_id,
       g.policy, g.verdict, g.category, g.tool, coalesce(p.actor, p.principal) AS changed_by, p.session_id AS changed_in
FROM identity p
JOIN runtime g
  ON  g.tenant = p.tenant AND g.policy = p.resource
  AND g.event_time > p.event_time
  AND g.event_time <= p.event_time + INTERVAL '24 hours'
WHERE p.kind = 'policy_changed'
  AND (p.outcome IS NULL OR p.outcome <> 'failure')
  AND g.kind IN ('guardrail', 'policy_decision')
  AND g.verdict IN ('deny', 'escalate')
  AND NOT g.enforced
