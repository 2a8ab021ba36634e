"""What must outlive a run and stands in no state: kept on this computer, one folder a stack."""
