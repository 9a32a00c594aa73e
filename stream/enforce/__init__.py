"""The control plane: procedures (pure tables), cases under way, the API, and the application that runs them."""
