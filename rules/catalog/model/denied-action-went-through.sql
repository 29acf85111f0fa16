/*---
id: denied-action-went-through
title: A tool call succeeded although a guardrail had denied it
plane: model
severity: high
key: [result_event_id]
frameworks: [ASI02:2026, LLM06:2025, AML.T0053]
owner: ai-security
description: >-
  A guardrail or policy says deny about a tool call, and the call then succeeds: the verdict was only reported, arrived
  too late, or was bypassed. Everyone who reads the guardrail's own dashboard believes that it was stopped.
runbook: >-
  Undo the effect of the call first. Then find out why the verdict did not hold: monitor mode, a path to the tool that
  does not pass the guardrail, or a time-out that fails open.
first_move:
  model: Disable the tool for this agent until the guardrail is known to enforce.
tags: [bypass]
---*/
SELECT x.event_time, x.tenant, x.principal, x.session_id, x.agent_id,
       x.event_id AS result_event_id, g.event_id AS guardrail_event_id,
       x.tool, x.tool_call_id, g.category, g.detector, g.policy, g.enforced
FROM runtime g
JOIN runtime x
  -- Call ids are unique in a session, not in the world: some agents number theirs call_1, call_2, …
  ON  x.tenant = g.tenant AND x.session_id = g.session_id
  AND x.event_time >= g.event_time
  AND x.event_time <= g.event_time + INTERVAL '10 minutes'
  AND (   x.tool_call_id = g.tool_call_id
       -- A guardrail that names no call: the next result of the same tool, while nobody can have approved it yet.
       OR (g.tool_call_id IS NULL AND x.tool = g.tool AND x.event_time <= g.event_time + INTERVAL '1 minute'))
WHERE g.kind IN ('guardrail', 'policy_decision')
  AND g.verdict = 'deny'
  -- A denial of what a tool brought in comes after the tool has rightly run.
  AND (g.target IS NULL
       OR (g.target NOT LIKE 'tool_result%' AND g.target NOT LIKE 'retrieval%' AND g.target NOT LIKE 'document%'))
  AND x.kind = 'tool_result'
  AND x.outcome = 'success'
