/*---
id: dead-token
title: A tool call with a revoked token
plane: access
severity: medium
key: [tool_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS tool_event_id, i.event_id AS token_event_id, r.tool
FROM runtime r
JOIN identity i
  ON  i.tenant = r.tenant AND i.credential_id = r.credential_id
  AND r.event_time > i.event_time AND r.event_time <= i.event_time + INTERVAL '6 hours'
WHERE r.kind = 'tool_call' AND i.kind = 'token_revoked'
