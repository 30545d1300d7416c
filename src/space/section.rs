//! A section of the sweep file, with the arguments that win over it.

use std::fmt::Display;

use super::given::{Field, Given, Raw, unknown_of};
use super::{Place, SpaceError, elsewhere};

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
        let place = Place::argument(flag, &value.to_string());
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

    /// Refuses keys of the section `own` that are none of `known`; those of use are `listed`.
    pub fn check_keys(
        &self,
        (own, kind): (&str, &'static str),
        known: &[&str],
        listed: &[&str],
    ) -> Result<(), SpaceError> {
        let stranger = self
            .fields
            .iter()
            .find(|field| !known.contains(&field.name.as_str()));
        stranger.map_or(Ok(()), |field| {
            let (place, name) = (&field.place, field.name.as_str());
            Err(elsewhere::misplaced(place, (name, &field.value), kind, own)
                .unwrap_or_else(|| unknown_of(place, name, kind, known, listed)))
        })
    }
}
