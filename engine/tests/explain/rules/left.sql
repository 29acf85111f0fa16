/*---
id: left
title: A grant that nobody used within the hour
plane: access
severity: low
key: [grant_event_id]
---*/
SELECT g.event_time, g.tenant, g.principal, g.event_id AS grant_event_id
FROM identity g
LEFT JOIN runtime u
  ON  u.tenant = g.tenant AND u.principal = g.principal AND u.kind = 'tool_call' AND u.tool = 'write'
  AND u.event_time >= g.event_time AND u.event_time <= g.event_time + INTERVAL '1 hour'
WHERE g.kind = 'role_granted' AND u.event_id IS NULL
