namespace Actors.Orders;

/// <summary>The contract that silos and clients share. The workflow's id is the order's id.</summary>
public interface IOrderWorkflow : IWorkflow<Order, OrderOutcome>
{
    [Signal]
    Task Ship(Shipment shipment);

    [Query]
    OrderStage Stage();
}
