/*---
id: reference
title: A call by an agent that has an owner
plane: model
severity: low
key: [call_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS call_event_id, a.owner
FROM runtime r
JOIN agents a ON a.agent_id = r.tool
WHERE r.kind = 'tool_call' AND a.owner IS NOT NULL
