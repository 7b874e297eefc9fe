"""Walk-forward: the best on train judged on test, fold after fold, and what that tells of the parameters."""
