/*---
id: content-phrase
title: A prompt asks for the wire instructions
plane: model
severity: medium
key: [prompt_event_id]
---*/
SELECT event_time, tenant, principal, session_id, event_id AS prompt_event_id, agent_id
FROM runtime
WHERE kind IN ('prompt', 'retrieval') AND content ILIKE '%wire instructions%'
