-- Presence and absence: EXISTS, IN, NOT EXISTS, NOT IN, LEFT JOIN … IS NULL.

-- shape: exists on either side
-- key: e_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -5m..3m needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
  AND (i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time
    OR i.event_time BETWEEN r.event_time + INTERVAL '2 minutes' AND r.event_time + INTERVAL '3 minutes'))

-- shape: in a subquery
-- key: e_event_id
-- proves: at once; runtime r by tenant, credential_id 0..0 needs 1; identity i by tenant, credential_id -6m..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.credential_id IN (SELECT i.credential_id FROM identity i
  WHERE i.tenant = r.tenant AND i.kind = 'token_revoked' AND i.event_time BETWEEN r.event_time - INTERVAL '6 minutes' AND r.event_time)

-- shape: exists of a pair
-- key: e_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity a by tenant, principal -6m..0 needs 1; identity b by tenant, principal -6m..4m needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND EXISTS (SELECT 1 FROM identity a JOIN identity b ON b.tenant = a.tenant AND b.principal = a.principal AND b.country <> a.country
    AND b.event_time BETWEEN a.event_time AND a.event_time + INTERVAL '4 minutes'
  WHERE a.tenant = r.tenant AND a.principal = r.principal AND a.event_time BETWEEN r.event_time - INTERVAL '6 minutes' AND r.event_time)

-- shape: absence after
-- key: e_event_id
-- proves: waits for runtime 5m-1us (NOT EXISTS waits until no `runtime r` can come any more); identity i by tenant, principal 0..0 needs 1; runtime r by tenant, principal 0..5m-1us
SELECT i.event_time, i.tenant, i.principal, i.event_id AS e_event_id FROM identity i
WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
  AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')

-- shape: absence after, said early
-- key: e_event_id
-- emit: early
-- proves: waits for runtime 5m (NOT EXISTS waits until no `runtime r` can come any more); identity i by tenant, principal 0..0 needs 1; runtime r by tenant, principal 1us..5m
SELECT i.event_time, i.tenant, i.principal, i.event_id AS e_event_id FROM identity i
WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
  AND r.event_time > i.event_time AND r.event_time <= i.event_time + INTERVAL '5 minutes')

-- shape: absence before, of the same table
-- key: e_event_id
-- proves: waits for identity -1us (NOT EXISTS waits until no `identity a` can come any more); identity b by tenant, principal, country 0..0 needs 1; identity a by tenant, principal, country -10m..-1us
SELECT b.event_time, b.tenant, b.principal, b.country, b.event_id AS e_event_id FROM identity b
WHERE b.principal IS NOT NULL AND NOT EXISTS (SELECT 1 FROM identity a WHERE a.tenant = b.tenant AND a.principal = b.principal
  AND a.country = b.country AND a.event_time >= b.event_time - INTERVAL '10 minutes' AND a.event_time < b.event_time)

-- shape: absence before and after
-- key: e_event_id
-- proves: waits for identity 3m (NOT EXISTS waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -3m..3m
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
  AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time + INTERVAL '3 minutes')

-- shape: presence and absence
-- key: e_event_id
-- proves: waits for identity 0 (NOT EXISTS waits until no `identity i` can come any more); runtime r by tenant, session_id 0..0 needs 1; runtime g by tenant, session_id -4m..0 needs 1; identity i by tenant, session_id -4m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, g.event_id AS flag_event_id
FROM runtime r JOIN runtime g ON g.tenant = r.tenant AND g.session_id = r.session_id AND g.kind = 'guardrail'
 AND r.event_time BETWEEN g.event_time AND g.event_time + INTERVAL '4 minutes'
WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.session_id = r.session_id
  AND i.event_time BETWEEN g.event_time AND r.event_time)

-- shape: two absences
-- key: e_event_id
-- proves: waits for runtime 2m and identity 0 (NOT EXISTS waits until no `identity i` can come any more); runtime r by tenant 0..0 needs 1; identity i by tenant -8m..0; runtime p by tenant 0..2m; warns W052
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call'
  AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal AND i.kind = 'authentication'
    AND i.event_time BETWEEN r.event_time - INTERVAL '8 minutes' AND r.event_time)
  AND NOT EXISTS (SELECT 1 FROM runtime p WHERE p.tenant = r.tenant AND p.session_id = r.session_id AND p.kind = 'prompt'
    AND p.event_time BETWEEN r.event_time AND r.event_time + INTERVAL '2 minutes')

-- shape: absence of an absence
-- key: e_event_id
-- proves: waits for identity 4m (NOT EXISTS waits until no `identity c` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -6m..0; identity c by tenant, principal -6m..4m
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
  AND i.kind = 'risk_changed' AND i.event_time BETWEEN r.event_time - INTERVAL '6 minutes' AND r.event_time
  AND NOT EXISTS (SELECT 1 FROM identity c WHERE c.tenant = i.tenant AND c.principal = i.principal AND c.kind = 'authentication'
    AND c.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '4 minutes'))

-- shape: left join, then null
-- key: e_event_id
-- proves: waits for identity 0 (an outer join waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -3m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id
FROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time
WHERE r.kind = 'tool_call' AND i.event_id IS NULL

-- shape: left join as detail
-- key: e_event_id
-- proves: waits for identity 0 (an outer join waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -3m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, i.event_id AS near_event_id
FROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time
WHERE r.kind = 'tool_call' AND (i.event_id IS NULL OR i.country = 'DE')

-- shape: one or the other exists
-- key: e_event_id
-- proves: waits for runtime 0 and identity 0 (EXISTS under OR or NOT waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -5m..0; runtime g by tenant, principal -2m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND (
  EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal AND i.kind = 'token_revoked'
    AND i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time)
  OR EXISTS (SELECT 1 FROM runtime g WHERE g.tenant = r.tenant AND g.principal = r.principal AND g.kind = 'guardrail'
    AND g.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time))

-- shape: absent, or something else
-- key: e_event_id
-- proves: waits for identity 0 (EXISTS under OR or NOT waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -5m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND (r.tool = 'tool2' OR NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
    AND i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time))

-- shape: not in a subquery
-- key: e_event_id
-- proves: waits for identity 0 (NOT EXISTS waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -6m..0
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.session_id NOT IN (SELECT i.session_id FROM identity i
  WHERE i.tenant = r.tenant AND i.principal = r.principal AND i.event_time BETWEEN r.event_time - INTERVAL '6 minutes' AND r.event_time)

-- shape: not in a subquery, names that both tables have
-- key: e_event_id
-- proves: waits for identity 0 (NOT EXISTS waits until no `identity` can come any more); runtime by tenant 0..0 needs 1; identity by tenant -4m..0; warns W052
SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime
WHERE kind = 'tool_call' AND NOT (session_id IN (SELECT session_id FROM identity
  WHERE identity.tenant = runtime.tenant AND identity.event_time BETWEEN runtime.event_time - INTERVAL '4 minutes' AND runtime.event_time))

-- shape: not in, or something else
-- key: e_event_id
-- proves: waits for identity 6m (EXISTS under OR or NOT waits until no `identity i` can come any more); runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal 0..6m
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'guardrail' AND (r.tool = 'tool1' OR r.session_id NOT IN (SELECT i.session_id FROM identity i
  WHERE i.tenant = r.tenant AND i.principal = r.principal AND i.event_time BETWEEN r.event_time AND r.event_time + INTERVAL '6 minutes'))

-- shape: not in a reference table
-- key: e_event_id
-- proves: at once; runtime r by tenant, event_id 0..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.tool NOT IN (SELECT t.tool FROM tools t WHERE t.sensitivity = 'low')

-- shape: not in, said in three-valued logic
-- key: e_event_id
-- refuses: 2:46: W021: NOT IN with a subquery can't be rewritten with its NULLs here; have it stand in WHERE, alone or under AND and OR, with `r.session_id` named by its table and one plain column selected; or write `NOT EXISTS (SELECT 1 FROM … WHERE … = r.session_id)`, and say what a NULL shall mean
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND (r.session_id NOT IN (SELECT i.session_id FROM identity i
  WHERE i.tenant = r.tenant AND i.event_time BETWEEN r.event_time - INTERVAL '6 minutes' AND r.event_time)) IS NULL

-- shape: not in a subquery with groups
-- key: e_event_id
-- refuses: 2:45: W021: NOT IN with a subquery can't be rewritten with its NULLs here; have it stand in WHERE, alone or under AND and OR, with `r.session_id` named by its table and one plain column selected; or write `NOT EXISTS (SELECT 1 FROM … WHERE … = r.session_id)`, and say what a NULL shall mean
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.kind = 'tool_call' AND r.session_id NOT IN (SELECT max(i.session_id) FROM identity i
  WHERE i.tenant = r.tenant AND i.event_time BETWEEN r.event_time - INTERVAL '6 minutes' AND r.event_time GROUP BY i.principal)

-- shape: an absence without a bound
-- key: e_event_id
-- refuses: 2:33: W050: rule an-absence-without-a-bound never forgets `identity i`; bound it, e.g. `r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '1 hour'`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal)

-- shape: an absence bounds nothing outside it
-- key: a_event_id
-- refuses: 2:21: W050: rule an-absence-bounds-nothing-outside-it never forgets `runtime c`; bound it, e.g. `a.event_time BETWEEN c.event_time AND c.event_time + INTERVAL '1 hour'`
SELECT a.event_time, a.tenant, a.principal, a.event_id AS a_event_id
FROM runtime a JOIN runtime c ON c.tenant = a.tenant AND c.principal = a.principal
WHERE NOT EXISTS (SELECT 1 FROM identity b WHERE b.tenant = a.tenant AND b.principal = a.principal
  AND b.event_time BETWEEN a.event_time AND a.event_time + INTERVAL '5 minutes'
  AND b.event_time BETWEEN c.event_time AND c.event_time + INTERVAL '5 minutes')

-- shape: a comparison with every row
-- key: e_event_id
-- refuses: 2:17: W026: a comparison with ANY or ALL of a subquery can't be streamed; write EXISTS with the comparison inside
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE r.score > ALL (SELECT p.score FROM runtime p WHERE p.tenant = r.tenant AND p.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time)

-- shape: a count as a subquery
-- key: e_event_id
-- refuses: 2:15: W028: an aggregate as a subquery gives a value even when nothing happened, and can't be bounded in time; join what it counts, with a LEFT JOIN where there may be none, and write `GROUP BY r.tenant, r.principal, r.event_time, r.event_id HAVING count(i.event_id) < 3`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
WHERE (SELECT count(*) FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
  AND i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time) < 3

-- shape: a tenant that may be missing
-- key: e_event_id
-- refuses: 1:24: W047: `tenant` may be NULL, and a finding without it can't be told; take it from a side that is always there, or keep only rows with `tenant IS NOT NULL`
SELECT r.event_time, i.tenant, r.principal, r.event_id AS e_event_id
FROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time
