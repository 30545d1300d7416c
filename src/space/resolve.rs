//! Arguments and file to one resolved sweep.

use super::draft::{Origin, parameters};
use super::section::Section;
use super::{Overrides, SpaceError, Sweep, SweepFile};
use super::{conditions, data_section, file, settings, sweep_file_template, uses};

/// Resolves file and arguments into one sweep, with every setting filled in.
///
/// - Arguments win over the file. `--set` takes the place of a parameter's values and keeps its
///   `when`; a parameter that depends on values which arguments took away is left out. `--hidden`
///   takes the place of `layers` and `units`, `--folds` of `holdout`, and the other way round.
/// - Without a file, the default sweep is the file: what [`sweep_file_template`] says. A file
///   without a `[space]` table takes the default sweep's.
/// - Parameters that `[space]` does not name have the table's default, fixed.
///
/// # Errors
///
/// The first thing that is wrong; see [`SpaceError`].
pub fn resolve(file: Option<SweepFile>, overrides: &Overrides) -> Result<Sweep, SpaceError> {
    let default = SweepFile {
        path: "default sweep".into(),
        text: sweep_file_template().to_owned(),
    };
    let default_sections = file::sections(&default)?;
    let sections = match &file {
        Some(file) => file::sections(file)?,
        None => default_sections.clone(),
    };
    let own_space = file.is_some() && sections.iter().any(|section| section.name == "space");
    let (space_sections, origin) = match own_space {
        true => (&sections, Origin::File),
        false => (&default_sections, Origin::Default),
    };

    let mut data = Section::of(&sections, "data")?;
    let mut train = Section::of(&sections, "train")?;
    let mut search = Section::of(&sections, "search")?;
    let space = Section::of(space_sections, "space")?;
    data_section::override_with(&mut data, overrides);
    settings::override_train(&mut train, overrides);
    settings::override_search(&mut search, overrides);

    let data = data_section::read(&data)?;
    let train = settings::read_train(&train)?;
    let search = settings::read_search(&search)?;
    let place = space.place.clone();
    let checked = conditions::connect(parameters(space.into_fields(), origin, overrides)?)?;
    let defaults = checked.iter().filter(|c| c.origin == Origin::Default);
    Ok(Sweep {
        data,
        train,
        search,
        defaults: defaults.map(|c| c.parameter.name.clone()).collect(),
        space: uses::space(&checked, &place)?,
    })
}
