/*---
id: repeated-denials-then-allow
title: Policy allowed a tool after denying it again and again in the same session
plane: model
severity: medium
key: [allow_event_id]
frameworks: [ASI02:2026, ASI09:2026, LLM06:2025, AML.T0054]
owner: ai-security
description: >-
  Three or more denials of one tool and then an allow within ten minutes: somebody, or the agent itself, rephrased,
  re-scoped or wore down an approver until the policy gave in.
runbook: >-
  Put the arguments of the allowed call beside those of the denied ones. If they ask for the same effect, the policy has
  a hole that the next attempt will use at once: close it before closing the incident.
first_move:
  model: Hold the allowed action where it can still be held, and require a second approver for this tool in the session.
tags: [bypass]
---*/
-- One denial followed by an allow is an agent that corrected a mistake. Three are a search.
SELECT a.event_time, a.tenant, a.principal, a.session_id, a.agent_id,
       a.event_id AS allow_event_id, array_agg(d.event_id) AS denial_event_ids,
       a.tool, a.policy, COUNT(*) AS denials
FROM runtime a
JOIN runtime d
  ON  d.tenant = a.tenant AND d.session_id = a.session_id AND d.tool = a.tool
  AND a.event_time > d.event_time
  AND a.event_time <= d.event_time + INTERVAL '10 minutes'
WHERE a.kind IN ('policy_decision', 'guardrail') AND a.verdict = 'allow'
  AND d.kind IN ('policy_decision', 'guardrail') AND d.verdict = 'deny'
GROUP BY a.event_time, a.tenant, a.principal, a.session_id, a.agent_id, a.event_id, a.tool, a.policy
HAVING COUNT(*) >= 3
