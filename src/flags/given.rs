//! The flags of one command line, in order, by name and by role.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::parse::Leading;
use super::table::{FlagSpec, Kind, Role};

/// One use of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The long name without dashes; aliases and short forms are resolved.
    pub name: Cow<'static, str>,
    /// The row of the table; `None` for a flag that only the installed engine knows.
    pub spec: Option<&'static FlagSpec>,
    /// How it takes its value.
    pub kind: Kind,
    /// The value as written; `true` or `false` for a switch; `None` for a lone [`Kind::OptionalValue`].
    pub value: Option<OsString>,
    /// The values in it: several for a comma list, else the value.
    pub parts: Vec<OsString>,
}

impl Given {
    /// Where it goes; a flag that nobody knows can change what a step produces.
    pub fn role(&self) -> Role {
        self.spec.map_or(Role::Key, |spec| spec.role)
    }

    /// The flag as one argument: `--name=value`, or `--name` where it has no value.
    pub fn to_arg(&self) -> OsString {
        let mut arg = OsString::from(format!("--{}", self.name));
        if let Some(value) = &self.value {
            arg.push("=");
            arg.push(value);
        }
        arg
    }
}

/// A command line of `build`, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildFlags {
    /// The context argument.
    pub context: Option<OsString>,
    pub(super) given: Vec<Given>,
    pub(super) globals: Vec<Given>,
}

impl BuildFlags {
    /// Puts the flags that stand before `build` in front of those behind it.
    #[must_use]
    pub fn after(mut self, leading: Leading) -> Self {
        self.globals.splice(0..0, leading.globals);
        self.given.splice(0..0, leading.given);
        self
    }

    /// The engine's own flags, each as one argument for before the subcommand. Without those that we read.
    pub fn globals(&self) -> Vec<OsString> {
        let passed = self.globals.iter().filter(|given| given.role() != Role::Ours);
        passed.map(Given::to_arg).collect()
    }

    /// The last value of one of the engine's own flags (`root`, `storage-driver`, ...).
    pub fn global(&self, name: &str) -> Option<&OsStr> {
        self.global_uses().rfind(|given| given.name == name)?.value.as_deref()
    }

    /// Every use of the engine's own flags, in order.
    pub fn global_uses(&self) -> impl DoubleEndedIterator<Item = &Given> {
        self.globals.iter()
    }

    /// Every use of a flag of `build`, in order.
    pub fn uses(&self) -> impl DoubleEndedIterator<Item = &Given> {
        self.given.iter()
    }

    /// Whether the flag is given at all, by its canonical name.
    pub fn is_given(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// The last value of a flag. A lone [`Kind::OptionalValue`] has none: see [`Self::optional`].
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        self.last(name)?.value.as_deref()
    }

    /// The last use of a flag whose value may be missing: `Some(None)` is `--pull` alone.
    pub fn optional(&self, name: &str) -> Option<Option<&OsStr>> {
        Some(self.last(name)?.value.as_deref())
    }

    /// All values of a flag in order, comma lists split.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsStr> {
        let uses = self.given.iter().filter(move |given| given.name == name);
        uses.flat_map(|given| given.parts.iter().map(OsString::as_os_str))
    }

    /// The last setting of a switch; `None` when it is not given.
    pub fn bool(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| value == "true")
    }

    /// Takes out the uses of a flag that have this value; whether there were any.
    pub fn take(&mut self, name: &str, value: &str) -> bool {
        let before = self.given.len();
        self.given.retain(|given| given.name != name || given.value.as_deref() != Some(OsStr::new(value)));
        self.given.len() < before
    }

    /// Every use of a flag of this role: the engine's own first, then those of `build`.
    pub fn iter_role(&self, role: Role) -> impl Iterator<Item = &Given> {
        self.globals.iter().chain(&self.given).filter(move |given| given.role() == role)
    }

    /// The flags of `build` of these roles as arguments, one each, in the order given.
    pub fn to_args(&self, roles: &[Role]) -> Vec<OsString> {
        let chosen = self.given.iter().filter(|given| roles.contains(&given.role()));
        chosen.map(Given::to_arg).collect()
    }

    /// What of the flags is in a step's key: each name with the values that count.
    ///
    /// Two command lines that mean the same have the same map: the last value of a flag that counts
    /// once, all of them in order of one that adds up.
    pub fn keyed(&self) -> BTreeMap<String, Vec<OsString>> {
        let mut keyed: BTreeMap<String, Vec<OsString>> = BTreeMap::new();
        for given in self.iter_role(Role::Key) {
            let values = keyed.entry(given.name.to_string()).or_default();
            if matches!(given.kind, Kind::Append | Kind::CommaList) || given.spec.is_none() {
                values.extend(given.parts.iter().cloned());
            } else {
                *values = given.parts.clone();
            }
        }
        keyed
    }

    fn last(&self, name: &str) -> Option<&Given> {
        self.given.iter().rfind(|given| given.name == name)
    }
}
