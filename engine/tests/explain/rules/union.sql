/*---
id: union
title: A payment, or a grant
plane: both
severity: low
weights: {model: 1.0, access: 1.0}
key: [hit_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.event_id AS hit_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.tool LIKE 'pay%'
UNION ALL
SELECT i.event_time, i.tenant, i.principal, i.event_id AS hit_event_id FROM identity i
WHERE i.kind = 'role_granted'
