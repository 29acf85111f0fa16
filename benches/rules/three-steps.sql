/*---
id: three-steps
title: Flag, invoice, mail in one session
plane: model
severity: medium
key: [mail_event_id]
---*/
SELECT c.event_time, c.tenant, c.principal, c.session_id, a.event_id AS flag_event_id, b.event_id AS invoice_event_id,
       c.event_id AS mail_event_id
FROM runtime a
JOIN runtime b
  ON  b.tenant = a.tenant AND b.session_id = a.session_id
  AND b.event_time > a.event_time AND b.event_time <= a.event_time + INTERVAL '10 minutes'
JOIN runtime c
  ON  c.tenant = b.tenant AND c.session_id = b.session_id
  AND c.event_time > b.event_time AND c.event_time <= b.event_time + INTERVAL '10 minutes'
WHERE a.kind = 'guardrail' AND b.kind = 'tool_call' AND b.tool = 'list_invoices' AND c.kind = 'tool_call' AND c.tool = 'send_email'
