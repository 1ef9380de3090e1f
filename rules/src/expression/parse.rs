//! Reads expressions: words first, then by precedence, each part with what it is.

use rust_decimal::Decimal;

use super::problem::{ExpressionError, ExpressionProblem as Problem};
use super::{Comparison, Field, Number, Rounding, Scale, Sign, Test};
use crate::limits::{MAX_DECIMALS, MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH};
use crate::meaning::decimal;
use crate::problem::clip;

type Parsed<T> = Result<T, ExpressionError>;

/// Reads a whole expression, which must be a number.
pub(super) fn expression(text: &str) -> Parsed<Number> {
    if text.len() > MAX_EXPRESSION_BYTES {
        let bytes = text.len();
        return Err(ExpressionError {
            at: 1,
            problem: Problem::TooLong { bytes },
        });
    }
    let mut reader = Reader {
        words: words(text)?,
        next: 0,
        depth: 0,
    };
    let whole = reader.choice()?.number()?;
    match reader.peek() {
        Word::End => Ok(whole),
        _ => Err(reader.expected("an operator, or the end of the expression,")),
    }
}

/// The functions, each as it is written.
const FUNCTIONS: [(&str, &str); 9] = [
    ("min", "min(A, B, …)"),
    ("max", "max(A, B, …)"),
    (
        "round",
        "round(A) or round(A, DECIMALS), with 0 to 10 decimals",
    ),
    (
        "floor",
        "floor(A) or floor(A, DECIMALS), with 0 to 10 decimals",
    ),
    (
        "ceil",
        "ceil(A) or ceil(A, DECIMALS), with 0 to 10 decimals",
    ),
    (
        "tier",
        "tier(A, THRESHOLD: B, THRESHOLD: C, …), each threshold a number",
    ),
    ("default", "default(FIELD, A)"),
    ("sum", "sum(FIELD)"),
    ("count", "count(FIELD)"),
];

/// Names of the functions.
pub(super) fn names() -> String {
    FUNCTIONS.map(|(name, _)| name).join(", ")
}

/// Whether a name stands after a point; others stand in brackets.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(begins_name) && characters.all(continues_name)
}

fn begins_name(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn continues_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Number(Decimal),
    Name(Box<str>),
    Text(Box<str>),
    Mark(&'static str),
    End,
}

/// The longer ones first.
const MARKS: [&str; 21] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "?", ":", "+", "-", "*", "/", "(", ")", "[",
    "]", ",", ".",
];

/// The words, each with the number of its first character.
fn words(text: &str) -> Parsed<Vec<(usize, Word)>> {
    let mut words = Vec::new();
    let mut rest = text;
    let mut at = 1;
    loop {
        let trimmed = rest.trim_start();
        at += rest[..rest.len() - trimmed.len()].chars().count();
        let Some(first) = trimmed.chars().next() else {
            words.push((at, Word::End));
            return Ok(words);
        };
        let (word, length) =
            word(trimmed, first).map_err(|problem| ExpressionError { at, problem })?;
        words.push((at, word));
        at += trimmed[..length].chars().count();
        rest = &trimmed[length..];
    }
}

/// The word that a text begins with, and its length in bytes.
fn word(text: &str, first: char) -> Result<(Word, usize), Problem> {
    let until = |is_in: fn(char) -> bool| text.find(|c| !is_in(c)).unwrap_or(text.len());
    if begins_name(first) {
        let end = until(continues_name);
        return Ok((Word::Name(text[..end].into()), end));
    }
    if first.is_ascii_digit() {
        // Letters are taken along, so that 1e3 and 5x are told as one mistake.
        let end = until(|c| continues_name(c) || c == '.');
        let value = decimal::exact(&text[..end]).ok_or_else(|| Problem::Decimal {
            found: clip(&text[..end]),
        })?;
        return Ok((Word::Number(value), end));
    }
    if first == '"' {
        let mut value = String::new();
        let mut characters = text.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => return Ok((Word::Text(value.into()), at + 1)),
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                    _ => return Err(Problem::OpenText),
                },
                other => value.push(other),
            }
        }
        return Err(Problem::OpenText);
    }
    match MARKS.iter().find(|mark| text.starts_with(**mark)) {
        Some(mark) => Ok((Word::Mark(mark), mark.len())),
        None => Err(Problem::Character { found: first }),
    }
}

/// A part of an expression, with its place.
struct Part {
    at: usize,
    kind: Kind,
}

enum Kind {
    Number(Number),
    Test(Test),
    Text(Box<str>),
}

impl Part {
    fn number(self) -> Parsed<Number> {
        match self.kind {
            Kind::Number(number) => Ok(number),
            kind => Err(kind.unfit(self.at, "a number")),
        }
    }

    fn test(self) -> Parsed<Test> {
        match self.kind {
            Kind::Test(test) => Ok(test),
            kind => Err(kind.unfit(self.at, "a condition such as payload.amount > 100")),
        }
    }
}

impl Kind {
    fn unfit(self, at: usize, expected: &'static str) -> ExpressionError {
        let problem = match self {
            Self::Text(_) => Problem::Text,
            Self::Number(_) => Problem::Kind {
                found: "a number",
                expected,
            },
            Self::Test(_) => Problem::Kind {
                found: "a condition",
                expected,
            },
        };
        ExpressionError { at, problem }
    }
}

struct Reader {
    words: Vec<(usize, Word)>,
    next: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> &Word {
        self.words
            .get(self.next)
            .map_or(&Word::End, |(_, word)| word)
    }

    fn at(&self) -> usize {
        let word = self.words.get(self.next).or(self.words.last());
        word.map_or(1, |(at, _)| *at)
    }

    /// Takes the mark, if it is next.
    fn take(&mut self, mark: &str) -> bool {
        let is_next = matches!(self.peek(), Word::Mark(next) if *next == mark);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes one of the marks, if it is next.
    fn take_of<T: Copy>(&mut self, marks: &[(&str, T)]) -> Option<T> {
        let found = marks.iter().find(|(mark, _)| self.take(mark));
        found.map(|(_, meaning)| *meaning)
    }

    fn expected(&self, expected: &'static str) -> ExpressionError {
        let found = match self.peek() {
            Word::Number(value) => value.to_string(),
            Word::Name(name) => clip(name),
            Word::Text(text) => format!("the text {:?}", clip(text)),
            Word::Mark(mark) => (*mark).to_owned(),
            Word::End => "the end".to_owned(),
        };
        self.error(Problem::Expected { expected, found })
    }

    fn error(&self, problem: Problem) -> ExpressionError {
        let at = self.at();
        ExpressionError { at, problem }
    }

    /// One level deeper, and out again.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_EXPRESSION_DEPTH {
            return Err(self.error(Problem::TooDeep));
        }
        self.depth += 1;
        let part = read(self);
        self.depth -= 1;
        part
    }

    /// `TEST ? A : B`, or what binds tighter.
    fn choice(&mut self) -> Parsed<Part> {
        self.deeper(|reader| {
            let at = reader.at();
            let first = reader.any()?;
            if !reader.take("?") {
                return Ok(first);
            }
            let test = first.test()?;
            let yes = reader.choice()?.number()?;
            if !reader.take(":") {
                return Err(reader.expected("a : with what holds otherwise"));
            }
            let no = reader.choice()?.number()?;
            let choice = Number::Choice(test.into(), yes.into(), no.into());
            let kind = Kind::Number(choice);
            Ok(Part { at, kind })
        })
    }

    fn any(&mut self) -> Parsed<Part> {
        self.tests("||", Self::all, Test::Any)
    }

    fn all(&mut self) -> Parsed<Part> {
        self.tests("&&", Self::not, Test::All)
    }

    /// Several tests with a mark between, or the only part.
    fn tests(
        &mut self,
        mark: &str,
        read: fn(&mut Self) -> Parsed<Part>,
        join: fn(Vec<Test>) -> Test,
    ) -> Parsed<Part> {
        let at = self.at();
        let first = read(self)?;
        if !self.take(mark) {
            return Ok(first);
        }
        let mut tests = vec![first.test()?];
        loop {
            tests.push(read(self)?.test()?);
            if !self.take(mark) {
                let kind = Kind::Test(join(tests));
                return Ok(Part { at, kind });
            }
        }
    }

    fn not(&mut self) -> Parsed<Part> {
        let at = self.at();
        if !self.take("!") {
            return self.compare();
        }
        let inner = self.deeper(|reader| reader.not()?.test())?;
        let kind = Kind::Test(Test::Not(inner.into()));
        Ok(Part { at, kind })
    }

    fn compare(&mut self) -> Parsed<Part> {
        const COMPARISONS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let at = self.at();
        let left = self.sum()?;
        let Some(comparison) = self.take_of(&COMPARISONS) else {
            return Ok(left);
        };
        let right = self.sum()?;
        let test = match (left.kind, comparison, right.kind) {
            (Kind::Number(Number::Field(field)), Comparison::Equal, Kind::Text(text))
            | (Kind::Text(text), Comparison::Equal, Kind::Number(Number::Field(field))) => {
                Test::Equals(field, text)
            }
            (Kind::Number(Number::Field(field)), Comparison::NotEqual, Kind::Text(text))
            | (Kind::Text(text), Comparison::NotEqual, Kind::Number(Number::Field(field))) => {
                Test::Differs(field, text)
            }
            (left_kind, _, right_kind) => {
                let (at, kind) = (left.at, left_kind);
                let left = Part { at, kind }.number()?;
                let (at, kind) = (right.at, right_kind);
                let right = Part { at, kind }.number()?;
                Test::Compare(left.into(), comparison, right.into())
            }
        };
        let kind = Kind::Test(test);
        Ok(Part { at, kind })
    }

    fn sum(&mut self) -> Parsed<Part> {
        const SIGNS: [(&str, Sign); 2] = [("+", Sign::Plus), ("-", Sign::Minus)];
        let at = self.at();
        let first = self.product()?;
        let Some(mut sign) = self.take_of(&SIGNS) else {
            return Ok(first);
        };
        let first = first.number()?;
        let mut rest = Vec::new();
        loop {
            rest.push((sign, self.product()?.number()?));
            match self.take_of(&SIGNS) {
                Some(next) => sign = next,
                None => break,
            }
        }
        let kind = Kind::Number(Number::Sum(first.into(), rest));
        Ok(Part { at, kind })
    }

    fn product(&mut self) -> Parsed<Part> {
        const SCALES: [(&str, Scale); 2] = [("*", Scale::Times), ("/", Scale::Over)];
        let at = self.at();
        let first = self.negative()?;
        let Some(mut scale) = self.take_of(&SCALES) else {
            return Ok(first);
        };
        let first = first.number()?;
        let mut rest = Vec::new();
        loop {
            let factor = self.negative()?;
            let place = factor.at;
            let factor = factor.number()?;
            let is_zero = || factor.of(None).is_ok_and(|value| value.is_zero());
            if scale == Scale::Over && !factor.has_fields() && is_zero() {
                let problem = Problem::DivisionByZero;
                return Err(ExpressionError { at: place, problem });
            }
            rest.push((scale, factor));
            match self.take_of(&SCALES) {
                Some(next) => scale = next,
                None => break,
            }
        }
        let kind = Kind::Number(Number::Product(first.into(), rest));
        Ok(Part { at, kind })
    }

    fn negative(&mut self) -> Parsed<Part> {
        let at = self.at();
        if !self.take("-") {
            return self.primary();
        }
        let inner = self.deeper(|reader| reader.negative()?.number())?;
        let kind = Kind::Number(Number::Negative(inner.into()));
        Ok(Part { at, kind })
    }

    fn primary(&mut self) -> Parsed<Part> {
        let at = self.at();
        let kind = match self.peek().clone() {
            Word::Number(value) => {
                self.next += 1;
                Kind::Number(Number::Constant(value))
            }
            Word::Text(text) => {
                self.next += 1;
                Kind::Text(text)
            }
            Word::Name(name) => {
                let is_call = self.words.get(self.next + 1);
                if matches!(is_call, Some((_, Word::Mark("(")))) {
                    Kind::Number(self.function(&name)?)
                } else {
                    Kind::Number(Number::Field(self.field()?))
                }
            }
            Word::Mark("(") => {
                self.next += 1;
                let inner = self.choice()?;
                if !self.take(")") {
                    return Err(self.expected("an operator or )"));
                }
                inner.kind
            }
            Word::Mark(_) | Word::End => {
                return Err(
                    self.expected("a number, a field such as payload.amount, or a function")
                );
            }
        };
        Ok(Part { at, kind })
    }

    fn field(&mut self) -> Parsed<Field> {
        let Word::Name(first) = self.peek().clone() else {
            return Err(self.expected("a field such as payload.amount"));
        };
        let (found, mut steps) = match &*first {
            "payload" => ("payload", vec![first]),
            "event" => ("event", Vec::new()),
            _ => {
                let found = clip(&first);
                return Err(self.error(Problem::Name { found }));
            }
        };
        let begins = self.at();
        self.next += 1;
        let mut names = 0;
        loop {
            if self.take(".") {
                let Word::Name(name) = self.peek().clone() else {
                    return Err(self.expected("the name of a field"));
                };
                self.next += 1;
                steps.push(name);
            } else if self.take("[") {
                let Word::Text(name) = self.peek().clone() else {
                    return Err(self.expected("the name of a field, as [\"unit price\"],"));
                };
                self.next += 1;
                if !self.take("]") {
                    return Err(self.expected("a ] behind the name"));
                }
                steps.push(name);
            } else {
                break;
            }
            names += 1;
        }
        if names == 0 {
            let problem = Problem::WholeObject { found };
            return Err(ExpressionError {
                at: begins,
                problem,
            });
        }
        Ok(Field(steps.into()))
    }

    fn function(&mut self, name: &str) -> Parsed<Number> {
        let Some((function, form)) = FUNCTIONS.into_iter().find(|(known, _)| *known == name) else {
            let found = clip(name);
            return Err(self.error(Problem::Function { found }));
        };
        let wrong = self.error(Problem::Arguments { function, form });
        self.next += 2; // the name and its bracket
        let number = match function {
            "min" | "max" => {
                let mut all = vec![self.choice()?.number()?];
                while self.take(",") {
                    all.push(self.choice()?.number()?);
                }
                if all.len() < 2 {
                    return Err(wrong);
                }
                match function {
                    "min" => Number::Least(all),
                    _ => Number::Greatest(all),
                }
            }
            "round" | "floor" | "ceil" => {
                let inner = self.choice()?.number()?;
                let decimals = if self.take(",") {
                    self.decimals().ok_or_else(|| wrong.clone())?
                } else {
                    0
                };
                let rounding = match function {
                    "round" => Rounding::Nearest,
                    "floor" => Rounding::Down,
                    _ => Rounding::Up,
                };
                Number::Rounded(rounding, inner.into(), decimals)
            }
            "tier" => {
                let of = self.choice()?.number()?;
                let tiers = self.tiers(&wrong)?;
                Number::Tier(of.into(), tiers)
            }
            "default" => {
                let field = self.field()?;
                if !self.take(",") {
                    return Err(wrong);
                }
                Number::Default(field, self.choice()?.number()?.into())
            }
            "sum" => Number::Total(self.field()?),
            _ => Number::Count(self.field()?),
        };
        if self.take(")") {
            return Ok(number);
        }
        match self.peek() {
            Word::Mark(",") => Err(wrong),
            _ => Err(self.expected("an operator, a comma or )")),
        }
    }

    fn decimals(&mut self) -> Option<u32> {
        let Word::Number(value) = self.peek() else {
            return None;
        };
        let decimals = u32::try_from(*value)
            .ok()
            .filter(|_| value.fract().is_zero())?;
        self.next += 1;
        (decimals <= MAX_DECIMALS).then_some(decimals)
    }

    fn tiers(&mut self, wrong: &ExpressionError) -> Parsed<Vec<(Decimal, Number)>> {
        let mut tiers: Vec<(Decimal, Number)> = Vec::new();
        while self.take(",") {
            let place = self.at();
            let is_negative = self.take("-");
            let Word::Number(threshold) = *self.peek() else {
                return Err(self.expected("the threshold of a tier, a number,"));
            };
            let threshold = if is_negative { -threshold } else { threshold };
            if tiers.last().is_some_and(|(before, _)| threshold <= *before) {
                let threshold = threshold.to_string();
                return Err(ExpressionError {
                    at: place,
                    problem: Problem::Tiers { threshold },
                });
            }
            self.next += 1;
            if !self.take(":") {
                return Err(self.expected("a : behind the threshold"));
            }
            tiers.push((threshold, self.choice()?.number()?));
        }
        if tiers.is_empty() {
            return Err(wrong.clone());
        }
        Ok(tiers)
    }
}
