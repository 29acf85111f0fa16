/*---
id: agent-loop
title: An agent called one tool a hundred times within ten minutes
plane: model
severity: medium
key: [principal, session_id, agent_id, tool, slot]
frameworks: [ASI08:2026, LLM10:2025, AML.T0034]
owner: ai-security
description: >-
  One session calls the same tool a hundred times or more within ten minutes. Either the agent goes round in a circle, which
  costs money and fills whatever the tool writes to, or somebody has given it a task that no person would do by hand.
runbook: >-
  Look at the last calls: do they still change anything? If not, end the session and find what the agent takes for progress.
  If they do, find out who asked for it and where the results go.
first_move:
  model: Stop the session, or take the tool away from it, before the bill or the tool's own limits do.
tags: [loop, volume]
---*/
-- One call stands for all: a list of them would grow with every further one.
SELECT min(r.event_time) AS event_time, r.tenant, r.principal, r.session_id, r.agent_id, r.tool,
       date_bin(INTERVAL '10 minutes', r.event_time) AS slot, min(r.event_id) AS call_event_id, count(*) AS calls
FROM runtime r
WHERE r.kind = 'tool_call'
  AND r.session_id IS NOT NULL AND r.agent_id IS NOT NULL AND r.tool IS NOT NULL
GROUP BY r.tenant, r.principal, r.session_id, r.agent_id, r.tool, date_bin(INTERVAL '10 minutes', r.event_time)
HAVING count(*) >= 100
