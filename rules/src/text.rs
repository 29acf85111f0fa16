//! A rule's SQL as tokens with their places in the file.

use std::collections::BTreeMap;
use std::ops::Range;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

use crate::front_matter::{Parameter, RuleSource};
use crate::lint::{Code, LintFinding};

/// A token of the SQL; white space and comments are left out.
#[derive(Clone, Debug)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Range<usize>,
}

impl Lexeme {
    /// The word in lower case, where the token is an identifier or keyword.
    pub(crate) fn word(&self) -> Option<String> {
        match &self.token {
            Token::Word(word) => Some(word.value.to_lowercase()),
            _ => None,
        }
    }
}

/// The SQL of a rule file, with line and column as in the file.
#[derive(Clone, Debug)]
pub(crate) struct SqlText {
    /// The whole file, for places.
    pub(crate) file: String,
    /// The file with its front matter blanked out: what is parsed, at the same lines and columns.
    pub(crate) sql: String,
    /// Byte offset at which the SQL begins.
    pub(crate) offset: usize,
    /// Its tokens.
    pub(crate) lexemes: Vec<Lexeme>,
    /// What its parameters stand for.
    pub(crate) parameters: BTreeMap<String, Parameter>,
}

impl SqlText {
    /// Cuts the SQL of the file into tokens.
    pub(crate) fn new(source: &RuleSource) -> Result<Self, Box<LintFinding>> {
        let (front, sql) = source.text.split_at(source.sql_offset);
        // One byte for one byte would not keep the columns of what follows on the same line: one blank for one character.
        let blank: String = front.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        let mut text = SqlText {
            file: source.text.clone(),
            sql: blank + sql,
            offset: source.sql_offset,
            lexemes: Vec::new(),
            parameters: source.meta.parameters.clone(),
        };
        let lines = line_starts(&text.file);
        match Tokenizer::new(&GenericDialect {}, &text.sql).tokenize_with_location() {
            Ok(tokens) => {
                for token in tokens {
                    if matches!(token.token, Token::Whitespace(_)) {
                        continue;
                    }
                    let start = offset_of(&text.file, &lines, token.span.start);
                    let end = offset_of(&text.file, &lines, token.span.end);
                    text.lexemes.push(Lexeme { token: token.token, span: start..end.max(start + 1) });
                }
                Ok(text)
            }
            Err(error) => {
                let at = offset_of(&text.file, &lines, error.location);
                Err(Box::new(LintFinding::new(
                    Code::Syntax,
                    &text.file,
                    at..at + 1,
                    error.message,
                    "close what is open",
                )))
            }
        }
    }

    /// A finding at these bytes.
    pub(crate) fn finding(
        &self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> LintFinding {
        LintFinding::new(code, &self.file, span, message, help)
    }

    /// The bytes between two places as the parser names them.
    pub(crate) fn span(&self, start: Location, end: Location) -> Range<usize> {
        let lines = line_starts(&self.file);
        let from = offset_of(&self.file, &lines, start);
        from..offset_of(&self.file, &lines, end).max(from + 1)
    }

    /// The first place where one of these words stands; the beginning of the SQL where none does.
    pub(crate) fn find(&self, words: &[&str]) -> Range<usize> {
        words.iter().find_map(|word| self.word(word)).unwrap_or_else(|| self.start())
    }

    /// The first place where this word stands as an identifier or keyword.
    pub(crate) fn word(&self, word: &str) -> Option<Range<usize>> {
        let word = word.to_lowercase();
        self.lexemes.iter().find(|lexeme| lexeme.word().as_deref() == Some(&word)).map(|lexeme| lexeme.span.clone())
    }

    /// The first token after a semicolon; the beginning where there is none.
    pub(crate) fn second_statement(&self) -> Range<usize> {
        let after =
            self.lexemes.windows(2).find(|pair| pair[0].token == Token::SemiColon && pair[1].token != Token::SemiColon);
        after.map_or_else(|| self.start(), |pair| pair[1].span.clone())
    }

    /// Whether the place lies within parentheses.
    pub(crate) fn in_parentheses(&self, place: &Range<usize>) -> bool {
        let before = self.lexemes.iter().take_while(|lexeme| lexeme.span.start < place.start);
        let depth = before.fold(0_i64, |depth, lexeme| match lexeme.token {
            Token::LParen => depth + 1,
            Token::RParen => depth - 1,
            _ => depth,
        });
        depth > 0
    }

    /// The first place where one of these signs stands.
    pub(crate) fn symbol(&self, symbols: &[&str]) -> Option<Range<usize>> {
        let same = |lexeme: &&Lexeme| lexeme.word().is_none() && symbols.contains(&lexeme.token.to_string().as_str());
        self.lexemes.iter().find(same).map(|lexeme| lexeme.span.clone())
    }

    /// The first place where these words stand one after the other.
    pub(crate) fn words(&self, words: &[&str]) -> Option<Range<usize>> {
        self.lexemes.windows(words.len()).find_map(|window| {
            let same = window.iter().zip(words).all(|(lexeme, word)| lexeme.word().as_deref() == Some(word));
            same.then(|| window[0].span.start..window[words.len() - 1].span.end)
        })
    }

    /// The first place where this text stands as a literal.
    pub(crate) fn literal(&self, value: &str) -> Option<Range<usize>> {
        let same = |lexeme: &&Lexeme| matches!(&lexeme.token, Token::SingleQuotedString(text) if text == value);
        self.lexemes.iter().find(same).map(|lexeme| lexeme.span.clone())
    }

    /// The place of the alias of a scan: where the table is named together with it, else its first mention.
    pub(crate) fn alias(&self, table: &str, alias: &str) -> Range<usize> {
        self.words(&[table, alias])
            .or_else(|| self.words(&[table, "as", alias]))
            .or_else(|| self.word(table))
            .unwrap_or_else(|| self.start())
    }

    /// The place of an output column: the last mention of its name before the outermost FROM, else the first anywhere.
    pub(crate) fn output(&self, name: &str) -> Range<usize> {
        let name = name.to_lowercase();
        let mut depth = 0_usize;
        let mut found = None;
        for lexeme in &self.lexemes {
            match &lexeme.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            let word = lexeme.word();
            if depth == 0 && word.as_deref() == Some("from") {
                break;
            }
            if word.as_deref() == Some(name.as_str()) {
                found = Some(lexeme.span.clone());
            }
        }
        found.or_else(|| self.word(&name)).unwrap_or_else(|| self.start())
    }

    /// The first token of the SQL.
    pub(crate) fn start(&self) -> Range<usize> {
        self.lexemes.first().map_or(self.offset..self.offset, |lexeme| lexeme.span.clone())
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn offset_of(text: &str, lines: &[usize], at: Location) -> usize {
    let line = usize::try_from(at.line).unwrap_or(0).saturating_sub(1);
    let column = usize::try_from(at.column).unwrap_or(0).saturating_sub(1);
    let Some(&start) = lines.get(line) else { return text.len() };
    let end = lines.get(line + 1).copied().unwrap_or(text.len());
    text[start..end].char_indices().nth(column).map_or(end, |(at, _)| start + at)
}
