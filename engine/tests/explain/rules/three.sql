/*---
id: three
title: A grant, a call and a refusal, one after the other
plane: access
severity: medium
key: [refusal_event_id]
---*/
SELECT d.event_time, d.tenant, d.principal, d.session_id,
       g.event_id AS grant_event_id, c.event_id AS call_event_id, d.event_id AS refusal_event_id
FROM identity g
JOIN runtime c ON c.tenant = g.tenant AND c.principal = g.principal
  AND c.event_time >= g.event_time AND c.event_time < g.event_time + INTERVAL '1 hour'
JOIN identity d ON d.tenant = c.tenant AND d.principal = c.principal
  AND d.event_time > c.event_time AND d.event_time - c.event_time <= INTERVAL '20 minutes'
WHERE g.kind = 'role_granted' AND c.kind = 'tool_call' AND d.kind = 'access_denied'
