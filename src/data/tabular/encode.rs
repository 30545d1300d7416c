//! From typed columns to feature rows, class indices and groups.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::super::DataError;
use super::super::classes::{CLASS_LIMIT, Classes, number_classes, whole};
use super::read::{CellKind, Column, MIXED, Table, Texts, unseen};
use super::{Use, Uses};

/// How columns become numbers: fitted on the training data, applied to the test file too.
pub(super) struct Encoding {
    pub feature_names: Vec<String>,
    pub classes: Classes,
    /// Whether the classes are numbers, so that `1` and `1.0` are one class.
    number_classes: bool,
    /// Name and role, in the order of the training file.
    columns: Vec<(String, Role)>,
    /// Group ids given so far.
    groups: HashMap<String, u32>,
}

enum Role {
    Number,
    Categories(Classes),
    Target { text: bool },
    Group,
}

/// Values that one-hot encoding may make: 1 GiB in f32. A small file of many categories would
/// otherwise fill the memory.
const MOST_ENCODED: usize = 1 << 28;

/// Encoded rows.
pub(super) struct Rows {
    /// Row-major.
    pub values: Vec<f32>,
    pub targets: Vec<u32>,
    pub groups: Option<Vec<u32>>,
    width: usize,
}

impl Rows {
    fn zeros(rows: usize, width: usize) -> Self {
        Self {
            values: vec![0.0; rows * width],
            targets: Vec::new(),
            groups: None,
            width,
        }
    }

    /// Fills the feature column `at`.
    fn put_numbers(&mut self, at: usize, numbers: &[f32]) {
        let places = self.values.iter_mut().skip(at).step_by(self.width);
        places
            .zip(numbers)
            .for_each(|(place, &number)| *place = number);
    }

    /// Puts a one into each row, as many feature columns after `at` as its category says.
    fn put_ones(&mut self, at: usize, categories: &[u32]) {
        for (row, &category) in self.values.chunks_mut(self.width).zip(categories) {
            row[at + category as usize] = 1.0;
        }
    }

    /// Adds rows at the end.
    pub fn append(&mut self, other: Self) {
        self.values.extend(other.values);
        self.targets.extend(other.targets);
        if let (Some(groups), Some(other)) = (&mut self.groups, other.groups) {
            groups.extend(other);
        }
    }
}

impl Encoding {
    /// Fits roles, categories and classes on the training data.
    pub fn fit(table: &Table, uses: &Uses) -> Result<Self, DataError> {
        let mut encoding = Self {
            feature_names: Vec::new(),
            classes: Classes::new(Vec::new()),
            number_classes: false,
            columns: Vec::new(),
            groups: HashMap::new(),
        };
        for (column, &used) in uses.columns.iter().enumerate() {
            let role = encoding.fit_column(table, column, used)?;
            encoding.columns.push((table.header[column].clone(), role));
        }
        Ok(encoding)
    }

    fn fit_column(&mut self, table: &Table, column: usize, used: Use) -> Result<Role, DataError> {
        let name = &table.header[column];
        match (used, &table.columns[column]) {
            (Use::Target | Use::TextTarget, Column::Texts(texts)) => {
                let text = used == Use::TextTarget;
                let labels = match text {
                    true => None,
                    false => number_labels(table, column, texts)?,
                };
                self.number_classes = labels.is_some();
                self.classes = match labels {
                    Some(labels) => number_classes(labels.into_iter()),
                    None => Classes::new(sorted(&texts.values)),
                };
                Ok(Role::Target { text })
            }
            (Use::Group, _) => Ok(Role::Group),
            (_, Column::Numbers(_)) => {
                self.feature_names.push(name.clone());
                Ok(Role::Number)
            }
            (_, Column::Texts(texts)) => {
                let categories = categories(table, column, texts)?;
                let names = categories
                    .names
                    .iter()
                    .map(|value| format!("{name}={value}"));
                self.feature_names.extend(names);
                Ok(Role::Categories(categories))
            }
        }
    }

    /// How to read the columns of a test file: those of the training data, in any order.
    pub fn test_kinds(&self, header: &[String], path: &Path) -> Result<Vec<CellKind>, DataError> {
        let known: HashMap<&String, &Role> = self.columns.iter().map(|(n, r)| (n, r)).collect();
        let missing = known.keys().filter(|name| !header.contains(name));
        let mut missing: Vec<String> = missing.map(|&name| name.clone()).collect();
        let unexpected = header.iter().filter(|&name| !known.contains_key(name));
        let unexpected: Vec<String> = unexpected.cloned().collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            missing.sort_unstable();
            return Err(DataError::OtherColumns {
                path: path.to_owned(),
                missing,
                unexpected,
            });
        }
        Ok(header.iter().map(|name| known[name].cell_kind()).collect())
    }

    /// Encodes the rows of a table; the training table comes first.
    pub fn rows(&mut self, table: &Table) -> Result<Rows, DataError> {
        let width = self.feature_names.len();
        if width > table.header.len() && table.rows.saturating_mul(width) > MOST_ENCODED {
            return Err(DataError::TooWide {
                path: table.path.clone(),
                rows: table.rows,
                columns: width,
                limit: MOST_ENCODED,
            });
        }
        let mut rows = Rows::zeros(table.rows, width);
        let mut known_groups = std::mem::take(&mut self.groups);
        let mut at = 0;
        for (name, role) in &self.columns {
            let column = table.header.iter().position(|other| other == name);
            let column = column.expect("the columns of the table were checked");
            match (role, &table.columns[column]) {
                (Role::Number, Column::Numbers(numbers)) => {
                    rows.put_numbers(at, numbers);
                    at += 1;
                }
                (Role::Categories(categories), Column::Texts(texts)) => {
                    let found = find_all(table, column, texts, categories, |text| text.into())?;
                    rows.put_ones(at, &found);
                    at += categories.names.len();
                }
                (Role::Target { .. }, Column::Texts(texts)) => {
                    let canonical = |text| self.canonical(text);
                    rows.targets = find_all(table, column, texts, &self.classes, canonical)?;
                }
                (Role::Group, Column::Texts(texts)) => {
                    rows.groups = Some(add_groups(&mut known_groups, table, texts)?);
                }
                _ => unreachable!("a column is read as its role needs"),
            }
        }
        self.groups = known_groups;
        Ok(rows)
    }

    /// The name of the class that a target cell means.
    fn canonical<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match text.parse().ok().and_then(whole) {
            Some(label) if self.number_classes => label.to_string().into(),
            _ => text.into(),
        }
    }
}

impl Role {
    fn cell_kind(&self) -> CellKind {
        match self {
            Self::Number => CellKind::Number,
            Self::Categories(_) | Self::Target { text: true } => CellKind::Text,
            Self::Target { text: false } | Self::Group => CellKind::Label,
        }
    }
}

/// The labels of a target that holds whole numbers only; `None` if it holds texts only.
fn number_labels(
    table: &Table,
    column: usize,
    texts: &Texts,
) -> Result<Option<Vec<i64>>, DataError> {
    let numbers: Vec<Option<f64>> = texts.values.iter().map(|text| text.parse().ok()).collect();
    let text = numbers.iter().position(Option::is_none);
    match text {
        Some(_) if numbers.iter().all(Option::is_none) => return Ok(None),
        Some(text) => return Err(texts.cell_error(table, column, text, MIXED)),
        None => {}
    }
    let labels: Vec<Option<i64>> = numbers.into_iter().map(|n| n.and_then(whole)).collect();
    match labels.iter().position(Option::is_none) {
        None => Ok(labels.into_iter().collect()),
        Some(text) => Err(DataError::RegressionTarget {
            path: table.path.clone(),
            column: table.header[column].clone(),
            value: texts.values[text].clone(),
            line: texts.first_lines[text],
        }),
    }
}

fn categories(table: &Table, column: usize, texts: &Texts) -> Result<Classes, DataError> {
    if texts.values.len() > CLASS_LIMIT {
        return Err(DataError::TooManyCategories {
            path: table.path.clone(),
            column: table.header[column].clone(),
            categories: texts.values.len(),
            limit: CLASS_LIMIT,
        });
    }
    Ok(Classes::new(sorted(&texts.values)))
}

/// By number if all are numbers, else as text.
fn sorted(values: &[String]) -> Vec<String> {
    let mut values = values.to_vec();
    values.sort_unstable();
    let numbers: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
    if numbers.is_some() {
        let number = |value: &String| value.parse().unwrap_or(f64::NAN);
        values.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    values
}

/// The class of each row.
fn find_all<'a>(
    table: &Table,
    column: usize,
    texts: &'a Texts,
    classes: &Classes,
    canonical: impl Fn(&'a str) -> Cow<'a, str>,
) -> Result<Vec<u32>, DataError> {
    let find = |(text, value): (usize, &'a String)| {
        let class = classes.find(&canonical(value));
        class.ok_or_else(|| unseen(table, column, text, &classes.names))
    };
    let of_text: Vec<u32> = texts
        .values
        .iter()
        .enumerate()
        .map(find)
        .collect::<Result<_, _>>()?;
    Ok(texts
        .rows
        .iter()
        .map(|&text| of_text[text as usize])
        .collect())
}

/// Gives each group of a table an id of its own, beyond those of tables before it.
fn add_groups(
    known: &mut HashMap<String, u32>,
    table: &Table,
    texts: &Texts,
) -> Result<Vec<u32>, DataError> {
    let first = u32::try_from(known.len()).expect("rows are counted in u32");
    for (value, id) in texts.values.iter().zip(first..) {
        if known.insert(value.clone(), id).is_some() {
            return Err(DataError::SharedGroup {
                path: table.path.clone(),
                group: value.clone(),
            });
        }
    }
    Ok(texts.rows.iter().map(|&text| first + text).collect())
}
