/*---
id: flag-then-send
title: A flagged result, then something is sent
plane: model
severity: medium
key: [tool_event_id]
---*/
SELECT c.event_time, c.tenant, c.principal, c.session_id, c.event_id AS tool_event_id, g.event_id AS guardrail_event_id,
       c.tool, g.category
FROM runtime g
JOIN runtime c
  ON  c.tenant = g.tenant AND c.session_id = g.session_id
  AND c.event_time > g.event_time AND c.event_time <= g.event_time + INTERVAL '30 minutes'
WHERE g.kind = 'guardrail' AND g.verdict IN ('warn', 'deny') AND c.kind = 'tool_call' AND c.tool = 'send_email'
