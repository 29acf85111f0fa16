/*---
id: flag-without-decision
title: A denial that nobody decided on
plane: model
severity: medium
key: [guardrail_event_id]
---*/
SELECT g.event_time, g.tenant, g.principal, g.session_id, g.event_id AS guardrail_event_id, g.category
FROM runtime g
WHERE g.kind = 'guardrail' AND g.verdict = 'deny'
  AND NOT EXISTS (
        SELECT 1 FROM runtime d
        WHERE d.tenant = g.tenant AND d.session_id = g.session_id AND d.kind = 'policy_decision'
          AND d.event_time > g.event_time AND d.event_time <= g.event_time + INTERVAL '10 minutes')
