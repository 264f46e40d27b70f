//! The agent: the data path from event to record, its status and its local API.
