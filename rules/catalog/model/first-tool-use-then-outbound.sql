/*---
id: first-tool-use-then-outbound
title: Agent used a tool for the first time and then sent data out
plane: model
severity: medium
key: [outbound_event_id]
frameworks: [ASI02:2026, ASI10:2026, LLM02:2025, LLM06:2025, AML.T0086]
owner: ai-security
description: >-
  An agent that has been at work for at least a day calls a tool that it did not use in the past week, and within a
  quarter of an hour the same session sends data out. New reach followed by an exit is how a hijacked or rogue agent looks
  before anybody has written a signature for it.
runbook: >-
  Look at why the agent got to this tool: a new release explains it for all of its sessions, a single session does not.
  Compare what the tool returned with what left.
first_move:
  model: Take the new tool away from the agent until its owner confirms that it belongs to the agent's work.
tags: [baseline, exfiltration]
---*/
-- "First" is relative to a week of history, so the agent itself must be older than a day: on the day that an agent is
-- deployed every tool is new, and that is not news.
SELECT o.event_time, o.tenant, o.principal, o.session_id, o.agent_id,
       o.event_id AS outbound_event_id, f.event_id AS first_use_event_id,
       f.tool AS first_used_tool, o.tool AS outbound_tool, o.target
FROM runtime f
JOIN runtime o
  ON  o.tenant = f.tenant AND o.agent_id = f.agent_id AND o.session_id = f.session_id
  AND o.event_time > f.event_time
  AND o.event_time <= f.event_time + INTERVAL '15 minutes'
WHERE f.kind = 'tool_call'
  AND f.tool IS NOT NULL
  AND o.kind = 'tool_call'
  AND (   lower(o.tool) LIKE '%send%'   OR lower(o.tool) LIKE '%post%'    OR lower(o.tool) LIKE '%upload%'
       OR lower(o.tool) LIKE '%share%'  OR lower(o.tool) LIKE '%publish%' OR lower(o.tool) LIKE '%forward%'
       OR lower(o.tool) LIKE '%invite%' OR lower(o.tool) LIKE '%webhook%' OR lower(o.tool) LIKE '%transfer%'
       -- A request to a web address carries data out in its path and query, whatever the tool is called.
       OR o.target LIKE 'http://%' OR o.target LIKE 'https://%')
  AND NOT EXISTS (
        SELECT 1 FROM runtime p
        WHERE p.tenant = f.tenant AND p.agent_id = f.agent_id AND p.tool = f.tool
          AND p.kind = 'tool_call'
          AND p.event_time >= f.event_time - INTERVAL '7 days'
          AND p.event_time < f.event_time)
  AND EXISTS (
        SELECT 1 FROM runtime q
        WHERE q.tenant = f.tenant AND q.agent_id = f.agent_id
          AND q.kind = 'tool_call'
          AND q.event_time >= f.event_time - INTERVAL '7 days'
          AND q.event_time <= f.event_time - INTERVAL '1 day')
