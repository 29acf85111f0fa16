//! The stable codes of findings.

use super::Level;

macro_rules! codes {
    ($( $name:ident $code:literal $level:ident $doc:literal; )*) => {
        /// What kind of finding it is. The text form (`W101`) is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $( #[doc = $doc] $name, )*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$( Code::$name ),*];

            /// Its stable text, such as `W101`.
            pub fn as_str(self) -> &'static str {
                match self { $( Code::$name => $code, )* }
            }

            /// What it means, in one line.
            pub fn meaning(self) -> &'static str {
                match self { $( Code::$name => $doc, )* }
            }

            /// Whether it refuses the rule.
            pub fn level(self) -> Level {
                match self { $( Code::$name => Level::$level, )* }
            }
        }
    };
}

codes! {
    FileTooLarge "W001" Error "The file is larger than a rule may be.";
    FrontMatterMissing "W002" Error "The file doesn't begin with a front matter.";
    FrontMatterInvalid "W003" Error "The front matter isn't valid YAML of the documented members.";
    MetaInvalid "W004" Error "A member of the front matter has a value that isn't allowed.";
    OwnerMismatch "W005" Error "The owner doesn't own the rule's plane.";
    PlaneMismatch "W006" Error "The rule's plane doesn't fit what it reads.";
    NotText "W007" Error "The file isn't UTF-8.";
    Syntax "W010" Error "The SQL can't be parsed.";
    NotOneSelect "W011" Error "The file doesn't hold exactly one SELECT.";
    TooComplex "W012" Error "The SQL is larger than can be planned in bounded time.";
    Limit "W020" Error "LIMIT, OFFSET and FETCH have no meaning over a stream.";
    NotIn "W021" Error "NOT IN with a subquery stands where it can't be rewritten with its NULLs.";
    Recursive "W022" Error "Recursive queries aren't bounded.";
    TableFunction "W023" Error "Table functions aren't allowed.";
    UnknownFunction "W024" Error "The function isn't on the list of allowed ones.";
    Volatile "W025" Error "The function's result depends on when it runs.";
    NodeForbidden "W026" Error "The query uses a construct that can't be streamed.";
    NegativeInterval "W027" Error "A window frame has a negative interval.";
    EmptyAggregate "W028" Error "An aggregate without GROUP BY gives a row even for no input.";
    LargeList "W029" Error "The IN list is too long.";
    LargePattern "W030" Error "The regular expression is too large or isn't valid.";
    UnknownName "W031" Error "A table or column doesn't exist.";
    Planning "W032" Error "The query can't be planned.";
    IngestTime "W033" Error "`ingest_time` can't be read by rules.";
    NoInput "W034" Error "The query reads neither `runtime` nor `identity` nor `signals`.";
    NeverFires "W035" Error "The query can't have a result.";
    Shadow "W036" Error "A query in WITH, or an alias, has the name of a table.";
    OrderMissing "W037" Error "A function picks rows by an order that isn't unique.";
    Fallible "W038" Error "An expression fails on some values, which would stop the rule.";
    ListOrder "W039" Error "A value depends on the order in which rows were gathered into a list.";
    OutputMissing "W040" Error "A column that every rule must have is missing from the output.";
    OutputType "W041" Error "An output column has a type that isn't allowed for it.";
    KeyMissing "W042" Error "A key column isn't in the output.";
    KeyUnbounded "W043" Error "The key determines neither an event nor a time bucket.";
    NotOfKey "W044" Warning "A column that must follow from the key can't be shown to.";
    EvidenceMissing "W045" Warning "The output names no event as evidence.";
    EventTimeUnknown "W046" Error "`event_time` isn't the time of an event, a bucket or a group.";
    OutputNull "W047" Error "`event_time` or `tenant` may be NULL.";
    SlidingBuckets "W048" Error "`hop` has no constant, positive size and slide, or too many buckets.";
    SpanParts "W049" Error "A time span is compared with days or months.";
    Unbounded "W050" Error "A scan isn't bounded in time.";
    WindowUnbounded "W051" Error "A window function isn't partitioned and bounded in time.";
    Global "W052" Warning "The rule has no key that all its scans share.";
    FloatPredicate "W053" Error "A float sum or average decides, and depends on the order of rows.";
    SignalsOfWhom "W054" Error "A scan of `signals` doesn't name the rules that it reads.";
    SignalsOfNobody "W055" Error "A rule whose signals are read isn't there.";
    SignalsCycle "W056" Error "The rule reads signals that rest on its own.";
    SignalsDisabled "W057" Warning "A rule whose signals are read, among others, is disabled.";
    StateLookup "W058" Error "A state table isn't looked up by tenant and one of its ids.";
    StateAsOf "W059" Error "A state table isn't read as of an event's time.";
    Parameter "W060" Error "A parameter is used and not declared, or declared and not used.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
