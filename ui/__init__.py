"""What imports streamlit and serves more than one page."""
