/*---
id: over
title: A payment without an approval after a broader token
plane: model
severity: high
key: [payment]
---*/
SELECT p.event_time, p.tenant, p.principal, p.session_id, p.signal_id AS payment, q.signal_id AS token,
       p.evidence AS payment_event_ids, q.evidence AS token_event_ids
FROM signals q
JOIN signals p
  ON  p.tenant = q.tenant AND p.principal = q.principal
  AND p.event_time > q.event_time
  AND p.event_time <= q.event_time + INTERVAL '1 hour'
WHERE q.rule = 'sequence' AND p.rule = 'absence'
