/*---
id: send-without-sign-in
title: Mail is sent for somebody who has not signed in
plane: access
severity: medium
key: [tool_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS tool_event_id, r.tool
FROM runtime r
LEFT JOIN identity i
  ON  i.tenant = r.tenant AND i.principal = r.principal AND i.kind = 'authentication'
  AND i.event_time >= r.event_time - INTERVAL '2 hours' AND i.event_time < r.event_time
WHERE r.kind = 'tool_call' AND r.tool = 'send_email' AND i.event_id IS NULL
