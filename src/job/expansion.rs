//! `${NAME}` in the strings of a job file.

use super::secret::belongs;

/// A `${` that leads to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpansionFault {
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// The variable holds a secret, which the record of the job would keep.
    #[error("the environment variable {0} holds a secret")]
    Secret(String),
    /// No `}` follows.
    #[error("`${{` without `}}`")]
    Open,
}

/// `text` with each `${NAME}` replaced by the variable's value; `$${` is a literal `${`.
///
/// # Errors
/// A variable is not set or holds a secret, or a `${` has no end.
pub fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpansionFault> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &after[2..];
            continue;
        }
        let (name, after) = after[2..].split_once('}').ok_or(ExpansionFault::Open)?;
        if belongs(name).is_some() {
            return Err(ExpansionFault::Secret(name.to_owned()));
        }
        expanded.push_str(before);
        expanded.push_str(&env(name).ok_or_else(|| ExpansionFault::Unset(name.to_owned()))?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_once_and_only_where_meant() {
        let env = |name: &str| (name == "WHO").then(|| "${WHO}".to_owned());
        assert_eq!(expand("plain $5 {x}", &env).unwrap(), "plain $5 {x}");
        assert_eq!(expand("a ${WHO} b", &env).unwrap(), "a ${WHO} b");
        assert_eq!(expand("$${WHO}", &env).unwrap(), "${WHO}");
        assert_eq!(
            expand("${NO}", &env),
            Err(ExpansionFault::Unset("NO".into()))
        );
        assert_eq!(expand("${NO", &env), Err(ExpansionFault::Open));
    }
}
