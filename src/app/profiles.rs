//! Finds and reads `profiles.toml`.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use secrecy::ExposeSecret;

use crate::error::Error;
use crate::job::problem::Source;
use crate::job::problems::Problems;
use crate::job::profiles::Profiles;

use super::{environment, secret_file, terminal};

/// Where the profiles are: `FLOWBATCH_PROFILES`, else the user's configuration folder.
pub(super) fn path() -> Option<PathBuf> {
    let set = |name| environment(name).filter(|value| !value.is_empty());
    if let Some(path) = set("FLOWBATCH_PROFILES") {
        return Some(path.into());
    }
    let folder = match set("XDG_CONFIG_HOME").filter(|path| path.starts_with('/')) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&set("HOME")?).join(".config"),
    };
    Some(folder.join("flowbatch").join("profiles.toml"))
}

/// The profiles; none if there is no file.
///
/// # Errors
/// The file is wrong, or others could change it: it may name programs that are run.
pub(super) fn load() -> Result<Rc<Profiles>, Error> {
    let Some(path) = path() else {
        return Ok(Rc::default());
    };
    let shown = path.display().to_string();
    let told = environment("FLOWBATCH_PROFILES").is_some_and(|path| !path.is_empty());
    if !told && !path.exists() {
        return Ok(Rc::new(Profiles::read(
            &shown,
            "",
            &environment,
            &mut Problems::default(),
        )));
    }
    let text = secret_file::read("the profiles in", &path)?;
    let text = text.expose_secret();
    let mut problems = Problems::default();
    let profiles = Profiles::read(&shown, text, &environment, &mut problems);
    if problems.is_empty() {
        return Ok(Rc::new(profiles));
    }
    let source = Source { path: &shown, text };
    let rendered = problems.render(Some(source), terminal::wants_color());
    Err(Error::Problems(rendered))
}

/// `path` as a profile writes it: from the user's home, or from the folder of the profiles.
pub(super) fn resolve(written: &Path) -> PathBuf {
    if let (Ok(rest), Some(home)) = (written.strip_prefix("~"), environment("HOME")) {
        return Path::new(&home).join(rest);
    }
    match path().as_deref().and_then(Path::parent) {
        Some(folder) => folder.join(written),
        None => written.to_owned(),
    }
}
