//! Drivers that write to stderr while adapters are looked for.

use std::ffi::OsString;
use std::path::Path;

/// Tells Mesa not to write to stderr what concerns nobody here. What a person has set is left as
/// it is.
///
/// - The Vulkan layer that puts a preferred device first asks the Wayland display which that is,
///   and where `XDG_RUNTIME_DIR` is not set, libwayland writes an error at each of two attempts.
///   Adapters are put in order here anyway.
/// - EGL writes a warning for every driver that it tries in vain.
///
/// # Safety
/// No other thread may run yet: the environment must not be changed while another thread reads it.
pub unsafe fn quiet_drivers() {
    for (name, value) in settings(|name| std::env::var_os(name)) {
        // SAFETY: no other thread runs, as the caller promises.
        unsafe { std::env::set_var(name, value) };
    }
}

/// The variables to set, given those that are.
fn settings(variable: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, &'static str)> {
    let is_set = |name| variable(name).is_some();
    let has_display =
        variable("XDG_RUNTIME_DIR").is_some_and(|path| Path::new(&path).is_absolute());
    let mut settings = Vec::new();
    if !has_display && !is_set("MESA_VK_DEVICE_SELECT") && !is_set("NODEVICE_SELECT") {
        settings.push(("NODEVICE_SELECT", "1"));
    }
    if !is_set("EGL_LOG_LEVEL") {
        settings.push(("EGL_LOG_LEVEL", "fatal"));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_has_set_is_left_as_it_is() {
        let names = |given: &[(&str, &str)]| -> Vec<&str> {
            let found = settings(|name| {
                let entry = given.iter().find(|entry| entry.0 == name);
                entry.map(|entry| entry.1.into())
            });
            found.into_iter().map(|(name, _)| name).collect()
        };
        let (select, log) = ("NODEVICE_SELECT", "EGL_LOG_LEVEL");
        assert_eq!(names(&[]), [select, log]);
        assert_eq!(names(&[("XDG_RUNTIME_DIR", "")]), [select, log]);
        #[cfg(unix)]
        assert_eq!(names(&[("XDG_RUNTIME_DIR", "/run/user/1000")]), [log]);
        assert_eq!(names(&[("MESA_VK_DEVICE_SELECT", "list")]), [log]);
        assert_eq!(names(&[(select, "0")]), [log]);
        assert_eq!(names(&[(log, "debug")]), [select]);
    }
}
