//! A section of the sweep file, with the arguments that win over it.

use std::fmt::Display;

use super::given::{Field, Given, Raw, unknown};
use super::{Place, SpaceError};

/// A section of the sweep file.
#[derive(Debug)]
pub struct Section {
    /// Where it begins.
    pub place: Place,
    fields: Vec<Field>,
}

impl Section {
    /// The section `name`, if the file has it; else an empty one.
    pub fn of(sections: &[Field], name: &'static str) -> Result<Self, SpaceError> {
        let Some(section) = sections.iter().find(|section| section.name == name) else {
            return Ok(Self {
                place: Place::Section(name),
                fields: Vec::new(),
            });
        };
        Ok(Self {
            place: section.place.clone(),
            fields: section.value.clone().table(name)?,
        })
    }

    /// Puts the value of an argument in the place of the file's.
    pub fn set<T: Display>(
        &mut self,
        key: &str,
        flag: &str,
        value: Option<T>,
        raw: impl Fn(T) -> Raw,
    ) {
        let Some(value) = value else { return };
        self.remove(key);
        let place = Place::Argument(format!("{flag} {value}").into());
        self.fields.push(Field {
            name: key.to_owned(),
            place: place.clone(),
            value: Given {
                place,
                value: raw(value),
            },
        });
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|field| field.name != key);
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Given> {
        let field = self.fields.iter().find(|field| field.name == key)?;
        Some(&field.value)
    }

    /// All fields, in the order written.
    pub fn into_fields(self) -> Vec<Field> {
        self.fields
    }

    /// Refuses keys that are none of `known`.
    pub fn check_keys(&self, kind: &'static str, known: &[&str]) -> Result<(), SpaceError> {
        let stranger = self
            .fields
            .iter()
            .find(|field| !known.contains(&field.name.as_str()));
        stranger.map_or(Ok(()), |field| {
            Err(unknown(
                &field.place,
                &field.name,
                kind,
                known.iter().copied(),
            ))
        })
    }
}
