"""Runs rules in DuckDB, an engine that shares nothing with ours but the SQL standard.

    duckdb_rules.py DIR

DIR holds `tables.json` (for each table its columns with DuckDB's types), `runtime.jsonl`, `identity.jsonl`, reference
tables as `reference/*.csv`, and `rules.json`: a list of {"id": …, "sql": …, "key": [columns]}. Prints one line for each
rule: {"id": …, "rows": [[tenant, key values…, event_time], …]}, one row a key with its least event_time, times in
microseconds; or {"id": …, "error": …}.

The rules run as they are written. What DuckDB calls by another name, or does differently, is translated here, by macros:
this is the whole of it.
"""

import datetime
import json
import pathlib
import sys

try:
    import duckdb
except ImportError:
    sys.exit("the Python library `duckdb` is missing: install integration/python/requirements.txt")

# name(parameters) AS body, each with what differs.
MACROS = [
    # DataFusion's buckets count from 1970-01-01, DuckDB's from 2000-01-03.
    "date_bin(width, moment) AS time_bucket(width, moment, TIMESTAMP '1970-01-01 00:00:00')",
    # DuckDB has no overlapping buckets. Here: sizes that are a multiple of the slide.
    """hop(moment, size, slide) AS list_filter(
         generate_series(date_bin(slide, moment) - size, date_bin(slide, moment), slide), lambda start: start + size > moment)""",
    # DuckDB's `~` and `regexp_full_match` match the whole text, `regexp_like` doesn't exist.
    "regexp_like(subject, pattern) AS regexp_matches(subject, pattern)",
    # Ours takes `a.b`, NULL for what isn't JSON; DuckDB's takes `$.a.b` and fails.
    "json_text(document, path) AS CASE WHEN json_valid(document) THEN json_extract_string(document, '$.' || path) END",
    # DuckDB's `inet` is an extension that has to be downloaded. Here: IPv4, and of IPv6 only that it is something else.
    r"is_ipv4(address) AS regexp_full_match(address, '\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}')",
    """ipv4(address) AS
         CAST(split_part(address, '.', 1) AS BIGINT) * 16777216 + CAST(split_part(address, '.', 2) AS BIGINT) * 65536
       + CAST(split_part(address, '.', 3) AS BIGINT) * 256 + CAST(split_part(address, '.', 4) AS BIGINT)""",
    """cidr_contains(network, address) AS CASE
         WHEN is_ipv4(address) THEN
           ipv4(address) // CAST(power(2, 32 - CAST(split_part(network, '/', 2) AS INTEGER)) AS BIGINT)
           = ipv4(split_part(network, '/', 1)) // CAST(power(2, 32 - CAST(split_part(network, '/', 2) AS INTEGER)) AS BIGINT)
         WHEN contains(address, ':') THEN false END""",
    """ip_prefix(address, bits) AS CASE
         WHEN is_ipv4(address) AND bits = 24 THEN
           concat_ws('.', split_part(address, '.', 1), split_part(address, '.', 2), split_part(address, '.', 3), '0/24')
         WHEN contains(address, ':') THEN 'a network of IPv6' END""",
]

EPOCH = datetime.datetime(1970, 1, 1)


def plain(value):
    """A value as JSON has it; times in microseconds."""
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    return value


def load(connection, folder):
    for macro in MACROS:
        connection.execute(f"CREATE MACRO {macro}")
    for table, columns in json.loads((folder / "tables.json").read_text()).items():
        connection.execute(
            f"CREATE TABLE {table} AS SELECT * FROM read_json(?, format = 'newline_delimited', columns = ?)",
            [str(folder / f"{table}.jsonl"), columns],
        )
    for path in sorted((folder / "reference").glob("*.csv")):
        connection.execute(
            f"CREATE TABLE {path.stem} AS SELECT * FROM read_csv(?, header = true, all_varchar = true)", [str(path)]
        )


def run(connection, rule):
    cursor = connection.execute(rule["sql"])
    names = [column[0] for column in cursor.description]
    key = [names.index(name) for name in ["tenant", *rule["key"]]]
    time = names.index("event_time")
    least = {}
    for row in cursor.fetchall():
        found = tuple(plain(row[at]) for at in key)
        moment = plain(row[time])
        least[found] = min(moment, least.get(found, moment))
    return [[*found, moment] for found, moment in least.items()]


def main(folder):
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    load(connection, folder)
    for rule in json.loads((folder / "rules.json").read_text()):
        try:
            answer = {"id": rule["id"], "rows": run(connection, rule)}
        except duckdb.Error as error:
            answer = {"id": rule["id"], "error": str(error)}
        print(json.dumps(answer))


main(pathlib.Path(sys.argv[1]))
