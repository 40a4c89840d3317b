"""Keep the control flow of adapters inside of their buses: whatever their code raises is an error that a bus can handle."""
