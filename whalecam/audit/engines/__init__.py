"""What an audit can run on beside this machine."""
