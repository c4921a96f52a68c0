//! Draws what others have decided: progress, tables, JSON. Decides nothing.

pub mod progress;
pub mod table;
