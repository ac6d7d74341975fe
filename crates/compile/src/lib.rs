//! From graph to plan: named rules, memory plan and the backend seam.
