/*---
id: indirect-injection-then-sensitive-tool
title: Agent called a sensitive tool after reading content that was flagged as an injection
plane: model
severity: high
key: [tool_event_id]
frameworks: [ASI01:2026, ASI02:2026, LLM01:2025, LLM06:2025, AML.T0051.001, AML.T0053]
owner: ai-security
description: >-
  A guardrail flags what a tool or a retrieval brought in, and within half an hour the same session sends, pays, deletes,
  shares, invites, writes, executes or fetches something: the agent is likely following the document instead of its user.
runbook: >-
  Compare the arguments of the tool call with what the user asked for. If the user did not ask for it, undo the effect
  (recall the message, stop the payment, remove the invited user), then find and clean the source of the flagged content:
  every other session that reads it meets the same instructions.
first_move:
  model: Pause the agent's session and hold its outbound actions; quarantine the flagged document or page.
tags: [injection]
---*/
-- A verdict alone is not a finding: detectors are wrong often enough, and content that changes nothing harms nobody.
-- What makes it one is the action that follows. An enforced verdict counts too: it proves that the source is hostile, and
-- what else of that source got past the scanner is not known.
SELECT c.event_time, c.tenant, c.principal, c.session_id, c.agent_id,
       c.event_id AS tool_event_id, g.event_id AS guardrail_event_id,
       c.tool, c.target, g.category, g.verdict, g.detector
FROM runtime g
JOIN runtime c
  ON  c.tenant = g.tenant AND c.session_id = g.session_id
  AND c.event_time > g.event_time
  AND c.event_time <= g.event_time + INTERVAL '30 minutes'
WHERE g.kind = 'guardrail'
  AND g.category IN ('prompt_injection', 'jailbreak', 'data_poisoning')
  -- A warning below even odds is the detector saying that it does not know.
  AND (g.verdict IN ('deny', 'escalate', 'modify') OR (g.verdict = 'warn' AND COALESCE(g.score, 1.0) >= 0.5))
  -- A verdict about the user's own prompt is direct injection: another attacker and another first move.
  AND (g.target IS NULL OR (g.target NOT LIKE 'prompt%' AND g.target NOT LIKE 'user%' AND g.target NOT LIKE 'input%'))
  AND c.kind = 'tool_call'
  AND (
       -- A fetched address carries data out in its path and brings the second stage in, so fetching is not just reading.
          lower(c.tool) LIKE '%webpage%' OR lower(c.tool) LIKE '%http%'      OR lower(c.tool) LIKE '%fetch%'
       OR lower(c.tool) LIKE '%browse%'  OR lower(c.tool) LIKE '%navigate%'
       OR ((  lower(c.tool) LIKE '%send%'     OR lower(c.tool) LIKE '%pay%'      OR lower(c.tool) LIKE '%transfer%'
           OR lower(c.tool) LIKE '%transact%' OR lower(c.tool) LIKE '%purchase%' OR lower(c.tool) LIKE '%reserve%'
           OR lower(c.tool) LIKE '%delete%'   OR lower(c.tool) LIKE '%remove%'   OR lower(c.tool) LIKE '%cancel%'
           OR lower(c.tool) LIKE '%share%'    OR lower(c.tool) LIKE '%invite%'   OR lower(c.tool) LIKE '%post%'
           OR lower(c.tool) LIKE '%publish%'  OR lower(c.tool) LIKE '%upload%'   OR lower(c.tool) LIKE '%forward%'
           OR lower(c.tool) LIKE '%create%'   OR lower(c.tool) LIKE '%update%'   OR lower(c.tool) LIKE '%write%'
           OR lower(c.tool) LIKE '%append%'   OR lower(c.tool) LIKE 'add%'       OR strpos(lower(c.tool), '_add_') > 0
           OR lower(c.tool) LIKE '%schedule%' OR lower(c.tool) LIKE '%grant%'    OR lower(c.tool) LIKE '%password%'
           OR lower(c.tool) LIKE '%exec%'     OR lower(c.tool) LIKE '%shell%'    OR lower(c.tool) LIKE '%bash%')
           -- Reading tools have such words in their names too: get_scheduled_transactions, mcp__files__list_shared.
           AND lower(c.tool) NOT LIKE 'get%'  AND lower(c.tool) NOT LIKE 'list%' AND lower(c.tool) NOT LIKE 'search%'
           AND lower(c.tool) NOT LIKE 'read%' AND lower(c.tool) NOT LIKE 'find%' AND lower(c.tool) NOT LIKE 'check%'
           AND strpos(lower(c.tool), '__get_') = 0  AND strpos(lower(c.tool), '__list_') = 0
           AND strpos(lower(c.tool), '__read_') = 0 AND strpos(lower(c.tool), '__search_') = 0))
