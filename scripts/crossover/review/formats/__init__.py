"""A review as a pull request's comment, JUnit and SARIF."""
