-- Inner joins of two, three and four scans.

-- shape: interval join
-- key: tool_event_id
-- proves: at once; runtime r by tenant, credential_id 0..0 needs 1; identity i by tenant, credential_id -6m..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id, r.tool
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id
 AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '6 minutes'
WHERE r.kind = 'tool_call' AND i.kind = 'token_revoked'

-- shape: interval join keyed by the earlier side
-- key: revocation_event_id
-- proves: at once; runtime r by tenant, credential_id -359999998us..359999998us needs 1; identity i by tenant, credential_id -6m-1us..-1us needs 1
SELECT r.event_time, i.tenant, i.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id
 AND r.event_time > i.event_time AND r.event_time < i.event_time + INTERVAL '6 minutes'
WHERE i.kind = 'token_revoked'

-- shape: half-open interval
-- key: r_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -3m..2m-1us needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r, identity i
WHERE i.tenant = r.tenant AND i.principal = r.principal AND i.country = 'DE'
  AND i.event_time >= r.event_time - INTERVAL '3 minutes' AND i.event_time < r.event_time + INTERVAL '2 minutes'

-- shape: a difference on both sides
-- key: r_event_id, i_event_id
-- proves: at once; runtime r by tenant, principal -4m..0 needs 1; identity i by tenant, principal -4m..0 needs 1
SELECT greatest(r.event_time, i.event_time) AS event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.session_id <> r.session_id
WHERE r.event_time - i.event_time <= INTERVAL '4 minutes' AND i.event_time - r.event_time <= INTERVAL '4 minutes'

-- shape: the same bucket
-- key: r_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -5m-1us..5m-1us needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND date_bin(INTERVAL '5 minutes', i.event_time) = date_bin(INTERVAL '5 minutes', r.event_time)
WHERE r.kind = 'guardrail' AND i.kind = 'risk_changed'

-- shape: self join
-- key: second_event_id
-- proves: at once; identity a by tenant, principal -5m..-1us needs 1; identity b by tenant, principal 0..0 needs 1
SELECT b.event_time, b.tenant, b.principal, a.event_id AS first_event_id, b.event_id AS second_event_id
FROM identity a JOIN identity b ON b.tenant = a.tenant AND b.principal = a.principal AND b.country <> a.country
 AND b.event_time > a.event_time AND b.event_time <= a.event_time + INTERVAL '5 minutes'

-- shape: three steps, each bound to the one before
-- key: c_event_id
-- proves: at once; runtime a by tenant, session_id -719999998us..-2us needs 1; runtime b by tenant, session_id -6m-1us..-1us needs 1; runtime c by tenant, session_id 0..0 needs 1
SELECT c.event_time, c.tenant, c.session_id, a.event_id AS a_event_id, b.event_id AS b_event_id, c.event_id AS c_event_id
FROM runtime a
JOIN runtime b ON b.tenant = a.tenant AND b.session_id = a.session_id AND b.event_time > a.event_time AND b.event_time < a.event_time + INTERVAL '6 minutes'
JOIN runtime c ON c.tenant = b.tenant AND c.session_id = b.session_id AND c.event_time > b.event_time AND c.event_time < b.event_time + INTERVAL '6 minutes'
WHERE a.kind = 'guardrail' AND b.kind = 'prompt' AND c.kind = 'tool_call'

-- shape: three steps, the last bound to the first
-- key: c_event_id
-- proves: at once; runtime a by tenant, session_id -8m..0 needs 1; runtime b by tenant, session_id -8m..0 needs 1; runtime c by tenant, session_id 0..0 needs 1
SELECT greatest(a.event_time, c.event_time) AS event_time, c.tenant, c.session_id, a.event_id AS a_event_id, c.event_id AS c_event_id
FROM runtime a
JOIN runtime b ON b.tenant = a.tenant AND b.session_id = a.session_id AND b.event_time >= a.event_time
JOIN runtime c ON c.tenant = b.tenant AND c.session_id = b.session_id AND c.event_time >= b.event_time
 AND c.event_time - a.event_time <= INTERVAL '8 minutes'
WHERE a.kind = 'guardrail' AND b.kind = 'prompt' AND c.kind = 'tool_call'

-- shape: four steps over both tables
-- key: d_event_id
-- proves: at once; identity a by tenant, principal -10m..0 needs 1; runtime b by tenant, principal -10m..0 needs 1; identity c by tenant, principal -10m..0 needs 1; runtime d by tenant, principal 0..0 needs 1
SELECT d.event_time, d.tenant, d.principal, a.event_id AS a_event_id, d.event_id AS d_event_id
FROM identity a
JOIN runtime b ON b.tenant = a.tenant AND b.principal = a.principal AND b.event_time >= a.event_time
JOIN identity c ON c.tenant = a.tenant AND c.principal = b.principal AND c.event_time >= b.event_time
JOIN runtime d ON d.tenant = a.tenant AND d.principal = c.principal AND d.event_time >= c.event_time
 AND d.event_time <= a.event_time + INTERVAL '10 minutes'
WHERE a.kind = 'authentication' AND b.kind = 'prompt' AND c.kind <> 'authentication' AND d.kind = 'tool_call'

-- shape: four scans, bounds between other pairs
-- key: a_event_id, c_event_id
-- proves: at once; runtime a by tenant, principal 0..0 needs 1; runtime b by tenant, principal -7m..9m needs 1; identity c by tenant, principal 0..5m needs 1; identity d by tenant, principal -4m..9m needs 1
SELECT a.event_time, a.tenant, a.principal, a.event_id AS a_event_id, c.event_id AS c_event_id
FROM runtime a, runtime b, identity c, identity d
WHERE b.tenant = a.tenant AND c.tenant = a.tenant AND d.tenant = a.tenant
  AND b.principal = a.principal AND c.principal = a.principal AND d.principal = a.principal
  AND a.kind = 'guardrail' AND b.kind = 'tool_call' AND c.kind = 'token_revoked' AND d.kind = 'risk_changed'
  AND c.event_time BETWEEN a.event_time AND a.event_time + INTERVAL '5 minutes'
  AND b.event_time BETWEEN d.event_time - INTERVAL '3 minutes' AND d.event_time
  AND d.event_time - c.event_time BETWEEN INTERVAL '-4 minutes' AND INTERVAL '4 minutes'

-- shape: alternatives bound by their union
-- key: r_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -5m..2m needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND r.kind = 'guardrail'
 AND (i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time - INTERVAL '4 minutes'
   OR i.event_time BETWEEN r.event_time + INTERVAL '1 minute' AND r.event_time + INTERVAL '2 minutes')

-- shape: a key coarser than the join
-- key: principal, bucket
-- proves: at once; runtime r by tenant, principal -13m-1us..10m-1us needs 1; identity i by tenant, principal -16m-1us..13m-1us needs 1
SELECT greatest(r.event_time, i.event_time) AS event_time, r.tenant, r.principal, date_bin(INTERVAL '10 minutes', r.event_time) AS bucket,
       r.event_id AS tool_event_id, i.event_id AS login_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.session_id = r.session_id
 AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time + INTERVAL '3 minutes'

-- shape: keys of two kinds
-- key: r_event_id
-- proves: at once; runtime r by tenant 0..0 needs 1; identity i by tenant -2m..0 needs 1; warns W052
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND (i.principal = r.principal OR i.session_id = r.session_id)
 AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time
WHERE r.kind = 'tool_call' AND i.kind = 'risk_changed'

-- shape: a cast ends a class
-- key: r_event_id
-- proves: at once; runtime r by tenant 0..0 needs 1; identity i by tenant -4m..0 needs 1; warns W052
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND CAST(i.asn AS VARCHAR) = r.target
 AND i.event_time BETWEEN r.event_time - INTERVAL '4 minutes' AND r.event_time

-- shape: equal where both are unknown
-- key: r_event_id
-- proves: at once; runtime r by tenant, principal 0..0 needs 1; identity i by tenant, principal -2m..0 needs 1
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND (i.principal IS NOT DISTINCT FROM r.principal)
 AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time
WHERE r.kind = 'guardrail'

-- shape: no key in common
-- key: e_event_id
-- proves: at once; runtime r by  0..0 needs 1; identity i by  -1m..0 needs 1; warns W052
SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r JOIN identity i
 ON i.event_time BETWEEN r.event_time - INTERVAL '1 minute' AND r.event_time AND i.country = 'US' AND r.kind = 'guardrail'

-- shape: unbounded join
-- key: r_event_id
-- refuses: 2:21: W050: rule unbounded-join never forgets `identity i`; bound it, e.g. `r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '1 hour'`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal

-- shape: cartesian join
-- key: r_event_id
-- refuses: 1:86: W050: rule cartesian-join never forgets `identity i`; bound it, e.g. `r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '1 hour'`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r, identity i

-- shape: a bound on one side only
-- key: r_event_id
-- refuses: 2:21: W050: rule a-bound-on-one-side-only never forgets `identity i`; bound it, e.g. `r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '1 hour'`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.event_time <= r.event_time

-- shape: one alternative without a bound
-- key: r_event_id
-- refuses: 2:21: W050: rule one-alternative-without-a-bound never forgets `identity i`; bound it, e.g. `r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '1 hour'`
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND (i.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time OR i.kind = 'risk_changed')

-- shape: bounds that exclude each other
-- key: r_event_id
-- refuses: 2:32: W035: the conditions on `event_time` exclude each other, so that no rows can meet them; check which side of each interval is earlier
SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.event_time < r.event_time AND i.event_time > r.event_time + INTERVAL '1 second'

-- shape: full join
-- key: r_event_id
-- refuses: 1:48: W047: `event_time` may be NULL, and a finding without it can't be told; take it from a side that is always there, or keep only rows with `event_time IS NOT NULL` | 1:62: W047: `tenant` may be NULL, and a finding without it can't be told; take it from a side that is always there, or keep only rows with `tenant IS NOT NULL`
SELECT coalesce(r.event_time, i.event_time) AS event_time, r.tenant, r.principal, r.event_id AS r_event_id
FROM runtime r FULL JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time

-- shape: right join that may have no time
-- key: r_event_id
-- refuses: 1:10: W047: `event_time` may be NULL, and a finding without it can't be told; take it from a side that is always there, or keep only rows with `event_time IS NOT NULL`
SELECT r.event_time, i.tenant, i.principal, r.event_id AS r_event_id
FROM runtime r RIGHT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND i.event_time BETWEEN r.event_time - INTERVAL '2 minutes' AND r.event_time
