/*---
id: absence
title: A payment without an approval
plane: model
severity: high
key: [call_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS call_event_id, r.tool
FROM runtime r
WHERE r.kind = 'tool_call' AND r.tool LIKE 'pay%'
  AND NOT EXISTS (
        SELECT 1 FROM runtime a
        WHERE a.tenant = r.tenant AND a.session_id = r.session_id
          AND a.kind = 'policy_decision' AND a.verdict = 'allow'
          AND a.event_time >= r.event_time - INTERVAL '5 minutes'
          AND a.event_time <= r.event_time + INTERVAL '10 minutes')
