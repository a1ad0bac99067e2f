//! The columns of an export that say nothing when they are read.

/// Columns of the service's own objects: for people, and to choose by.
pub const EXPORT_COLUMNS: [&str; 13] = [
    "version",
    "aop_type",
    "engine_type",
    "dataclass_id",
    "dataclass_name",
    "owner_id",
    "creator_id",
    "creator_name",
    "create_time",
    "modifier_id",
    "modifier_name",
    "update_time",
    "current_approval_version_id",
];
