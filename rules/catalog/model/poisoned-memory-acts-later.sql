/*---
id: poisoned-memory-acts-later
title: An agent read a flagged memory in another session and then acted outwards
plane: model
severity: high
key: [tool_event_id]
frameworks: [ASI06:2026, ASI01:2026, LLM04:2025, AML.T0080.000]
owner: ai-security
description: >-
  A guardrail flags what an agent is about to remember. Up to a week later another session of the same agent reads that memory,
  and within half an hour sends, pays, deletes, shares or fetches something. The orders were planted in one conversation and
  carried out in another, whose user has seen nothing of them.
runbook: >-
  Read the memory, and compare what the agent did with what the user of the later session asked for. Find the conversation that
  wrote it, everything else that it wrote, and every session that has read it since.
first_move:
  model: Quarantine the memory, and pause the sessions of the agent that have read it.
tags: [injection, memory]
---*/
SELECT c.event_time, c.tenant, c.principal, c.session_id, c.agent_id,
       c.event_id AS tool_event_id, m.event_id AS memory_event_id, g.event_id AS guardrail_event_id,
       c.tool, c.target, m.target AS memory, g.category, g.detector, g.session_id AS planted_in
FROM runtime g
JOIN runtime m
  ON  m.tenant = g.tenant AND m.agent_id = g.agent_id AND m.target = g.target
  AND m.session_id <> g.session_id
  AND m.event_time > g.event_time
  AND m.event_time <= g.event_time + INTERVAL '7 days'
JOIN runtime c
  ON  c.tenant = m.tenant AND c.agent_id = m.agent_id AND c.session_id = m.session_id
  AND c.event_time > m.event_time
  AND c.event_time <= m.event_time + INTERVAL '30 minutes'
WHERE g.kind = 'guardrail'
  AND g.category IN ('prompt_injection', 'jailbreak', 'data_poisoning')
  AND (g.verdict IN ('deny', 'escalate', 'modify') OR (g.verdict = 'warn' AND COALESCE(g.score, 1.0) >= 0.5))
  AND g.target LIKE 'memory:%'
  AND m.kind = 'memory'
  AND c.kind = 'tool_call'
  AND (   lower(c.tool) LIKE '%send%'    OR lower(c.tool) LIKE '%post%'     OR lower(c.tool) LIKE '%upload%'
       OR lower(c.tool) LIKE '%share%'   OR lower(c.tool) LIKE '%forward%'  OR lower(c.tool) LIKE '%pay%'
       OR lower(c.tool) LIKE '%wire%'    OR lower(c.tool) LIKE '%transfer%' OR lower(c.tool) LIKE '%delete%'
       OR lower(c.tool) LIKE '%invite%'  OR lower(c.tool) LIKE '%webhook%'
       OR c.target LIKE 'http://%'       OR c.target LIKE 'https://%')
