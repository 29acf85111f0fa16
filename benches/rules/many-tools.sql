/*---
id: many-tools
title: An agent tries many tools at once
plane: model
severity: medium
key: [tenant, session_id, bucket]
---*/
SELECT max(event_time) AS event_time, tenant, session_id, date_bin(INTERVAL '5 minutes', event_time) AS bucket,
       count(DISTINCT tool) AS tools
FROM runtime
WHERE kind = 'tool_call'
GROUP BY tenant, session_id, date_bin(INTERVAL '5 minutes', event_time)
HAVING count(DISTINCT tool) >= 6
