/*---
id: model-extraction-by-volume
title: Somebody asked one model five hundred different things within an hour
plane: model
severity: medium
key: [principal, model, hour]
frameworks: [LLM10:2025, AML.T0024.002, AML.T0040]
owner: ai-security
description: >-
  One principal sends five hundred or more prompts, all of them different, to the same model within an hour. A person doesn't,
  and a job that does is known to its owner. What is left is somebody who is copying the model's behaviour, or its training
  data, answer by answer.
runbook: >-
  Compare the prompts: generated ones vary in one place, or walk through a list. Ask the owner of the account whether it runs a
  batch job. If nobody knows of one, limit the account and look for others that ask in the same way.
first_move:
  model: Limit the rate of this principal at the gateway, and keep its prompts and answers.
tags: [extraction, volume]
---*/
-- Different prompts are counted and not prompts: an agent that repeats itself is stuck, and learns nothing of the model.
SELECT min(r.event_time) AS event_time, r.tenant, r.principal, r.model,
       date_bin(INTERVAL '1 hour', r.event_time) AS hour, min(r.event_id) AS prompt_event_id,
       count(DISTINCT r.content) AS prompts
FROM runtime r
WHERE r.kind = 'prompt'
  AND r.principal IS NOT NULL AND r.model IS NOT NULL AND r.content IS NOT NULL
GROUP BY r.tenant, r.principal, r.model, date_bin(INTERVAL '1 hour', r.event_time)
HAVING count(DISTINCT r.content) >= 500
